//! The imports of a Proxy-Wasm module: a thin layer that moves bytes between
//! the guest's memory and the host.

mod proxy;
mod wasi;

use crate::context::{Context, HttpStream};
use crate::journal::Call;
use crate::pairs::{self, Pairs};
use crate::process::Process;
use crate::vm::State;
use crate::{Error, Module, Status};
use wasmi::errors::LinkerError;
use wasmi::{AsContextMut, Caller, ExternType, Linker, Memory, Store, TypedFunc, Val};

/// Where the host reaches into the guest.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) memory: Memory,
    pub(crate) allocate: TypedFunc<u32, u32>,
}

/// Why a hostcall ends early: with a status, or by stopping the guest.
pub(crate) enum Stop {
    Status(Status),
    Trap(wasmi::Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<wasmi::Error> for Stop {
    fn from(error: wasmi::Error) -> Self {
        Self::Trap(error)
    }
}

type Answer = Result<(), Stop>;

/// Everything that a module may import. What this host does not implement is a
/// trap that names itself, when called.
pub(crate) fn linker(module: &Module, store: &Store<State>) -> Result<Linker<State>, Error> {
    let mut linker = Linker::new(store.engine());
    let failed = |error: LinkerError| Error::Module(error.to_string());
    linker.allow_shadowing(true);
    for import in module.compiled.imports() {
        let (from, name) = (import.module(), import.name());
        let ExternType::Func(ty) = import.ty() else {
            return Err(Error::Module(format!("it imports `{from}.{name}`, which is no function")));
        };
        let message = format!("`{from}.{name}` is not implemented by this host");
        linker
            .func_new(from, name, ty.clone(), move |_, _, _: &mut [Val]| {
                Err(wasmi::Error::new(message.clone()))
            })
            .map_err(failed)?;
    }
    proxy::define(&mut linker).map_err(failed)?;
    wasi::define(&mut linker).map_err(failed)?;
    Ok(linker)
}

/// The guest that makes a hostcall.
struct Guest<'a> {
    caller: Caller<'a, State>,
}

impl<'a> Guest<'a> {
    /// Runs one `proxy_*` call: counts it, lets an injected failure take its
    /// place, and turns its answer into the ABI's number.
    fn proxy_call(
        caller: Caller<'a, State>,
        name: &'static str,
        call: impl FnOnce(&mut Self) -> Answer,
    ) -> Result<u32, wasmi::Error> {
        let mut guest = Self { caller };
        let state = guest.caller.data_mut();
        if state.restricted && name != "proxy_log" {
            return Err(wasmi::Error::new(format!(
                "`{name}` must not be called while the module starts or allocates"
            )));
        }
        let answer = match state.injected_failure(name) {
            Some(status) => Err(Stop::Status(status)),
            None => call(&mut guest),
        };
        let status = match answer {
            Ok(()) => Status::Ok,
            Err(Stop::Status(status)) => status,
            Err(Stop::Trap(trap)) => return Err(trap),
        };
        guest.caller.data_mut().calls.push(Call { name, status });
        Ok(status as u32)
    }

    fn state(&mut self) -> &mut State {
        self.caller.data_mut()
    }

    fn process<R>(&mut self, with: impl FnOnce(&mut State, &mut Process) -> R) -> R {
        let state = self.caller.data_mut();
        let host = state.host.clone();
        let mut process = host.lock();
        with(state, &mut process)
    }

    fn context(&mut self) -> &mut Context {
        self.state().effective_context()
    }

    /// The stream of the current context, or what a root context answers.
    fn stream(&mut self, otherwise: Status) -> Result<&mut HttpStream, Stop> {
        match self.context() {
            Context::Stream(stream) => Ok(stream),
            Context::Vm | Context::Root(_) => Err(otherwise.into()),
        }
    }

    fn reach(&mut self) -> Result<Reach, Stop> {
        self.state()
            .reach
            .ok_or_else(|| wasmi::Error::new("a hostcall before the module was started").into())
    }

    fn read(&mut self, at: u32, length: u32) -> Result<Vec<u8>, Stop> {
        let memory = self.reach()?.memory;
        let start = at as usize;
        memory
            .data(&self.caller)
            .get(start..start + length as usize)
            .map(<[u8]>::to_vec)
            .ok_or(Stop::Status(Status::InvalidMemoryAccess))
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Answer {
        let memory = self.reach()?.memory;
        memory
            .write(&mut self.caller, at as usize, bytes)
            .map_err(|_| Stop::Status(Status::InvalidMemoryAccess))
    }

    fn write_u32(&mut self, at: u32, number: u32) -> Answer {
        self.write(at, &number.to_le_bytes())
    }

    fn write_u64(&mut self, at: u32, number: u64) -> Answer {
        self.write(at, &number.to_le_bytes())
    }

    /// Leaves bytes in memory that the guest allocates, and writes where they
    /// are and how many. Nothing is allocated for none: the pointer is then 0.
    fn give(&mut self, bytes: &[u8], pointer_at: u32, size_at: u32) -> Answer {
        let mut pointer = 0;
        if !bytes.is_empty() {
            let allocate = self.reach()?.allocate;
            let restricted = std::mem::replace(&mut self.state().restricted, true);
            let allocated = allocate.call(self.caller.as_context_mut(), bytes.len() as u32);
            self.state().restricted = restricted;
            pointer = allocated?;
            if pointer == 0 {
                return Err(Status::InvalidMemoryAccess.into());
            }
            self.write(pointer, bytes)?;
        }
        self.write_u32(pointer_at, pointer)?;
        self.write_u32(size_at, bytes.len() as u32)
    }

    fn read_pairs(&mut self, at: u32, length: u32) -> Result<Pairs, Stop> {
        Ok(pairs::decode(&self.read(at, length)?))
    }
}
