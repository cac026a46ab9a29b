//! A compiled module, ready to be run by any number of VMs.

use crate::Error;
use std::sync::OnceLock;
use wasmi::{CompilationMode, Config, Engine};

/// A Proxy-Wasm module. Compile it once and share it: a VM of a compiled module
/// starts in no time.
#[derive(Clone, Debug)]
pub struct Module {
    pub(crate) compiled: wasmi::Module,
}

impl Module {
    /// Compiles a module from WebAssembly's binary form, or its text form.
    ///
    /// # Errors
    /// [`Error::Module`] if the bytes are no valid module, or if Envoy would
    /// refuse it: without an ABI version 0.2.x, an allocator or a memory.
    pub fn new(wasm: impl AsRef<[u8]>) -> Result<Self, Error> {
        let compiled = wasmi::Module::new(engine(), wasm.as_ref())
            .map_err(|error| Error::Module(error.to_string()))?;
        for any_of in [
            &["proxy_abi_version_0_2_0", "proxy_abi_version_0_2_1"],
            &["malloc", "proxy_on_memory_allocate"],
            &["memory", "memory"],
        ] {
            if any_of.iter().all(|name| compiled.get_export(name).is_none()) {
                let message = format!("it exports no `{}`", any_of[1]);
                return Err(Error::Module(message));
            }
        }
        Ok(Self { compiled })
    }

    /// Reads and compiles a file.
    ///
    /// # Errors
    /// As [`Module::new`], and [`Error::Module`] if the file cannot be read.
    pub fn from_file(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let wasm = std::fs::read(path)
            .map_err(|error| Error::Module(format!("cannot read {}: {error}", path.display())))?;
        Self::new(wasm)
    }

    /// The names that the module exports.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.compiled.exports().map(|export| export.name())
    }
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::default();
        // A function that is compiled when first called would take its share of
        // that callback's fuel.
        config.consume_fuel(true).compilation_mode(CompilationMode::Eager);
        Engine::new(&config)
    })
}
