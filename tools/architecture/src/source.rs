//! A crate's files, followed from its roots by `mod`.

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;
use std::fs;
use std::path::{Path, PathBuf};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta, Token};

/// One file of a crate.
pub(crate) struct Source {
    /// The file below the folder of its root: `carrier/mod.rs`.
    pub(crate) file: PathBuf,
    /// Its module: the root's index, and the names down from there.
    pub(crate) module: Module,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
}

/// A module's place: a root of the package (its library, or one of its programs), and the names
/// below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Module {
    pub(crate) root: usize,
    pub(crate) names: Vec<String>,
}

impl Module {
    pub(crate) fn child(&self, name: &str) -> Self {
        let mut names = self.names.clone();
        names.push(name.to_owned());
        Self { root: self.root, names }
    }

    /// The root's parent is the root, as for the compiler, which refuses it.
    pub(crate) fn parent(&self) -> Self {
        let mut names = self.names.clone();
        names.pop();
        Self { root: self.root, names }
    }
}

/// Reads the files of a package's roots.
///
/// # Errors
/// A file that cannot be read, is not valid Rust, or is declared and not there.
pub(crate) fn read(roots: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for (root, file) in roots.iter().enumerate() {
        let folder = file.parent().unwrap_or(Path::new(""));
        follow(folder, file, folder, Module { root, names: Vec::new() }, &mut sources)?;
    }
    Ok(sources)
}

/// Reads one file and what it declares; `children` is the folder where its modules' files lie.
fn follow(
    root: &Path,
    file: &Path,
    children: &Path,
    module: Module,
    sources: &mut Vec<Source>,
) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let syntax = syn::parse_file(&text).with_context(|| file.display().to_string())?;
    let mut declared = Vec::new();
    declarations(&syntax.items, children, &module, &mut declared);
    let name = file.strip_prefix(root).unwrap_or(file).to_owned();
    sources.push(Source { file: name, module, text, syntax });
    for Declared { module, folder, path } in declared {
        let name = module.names.last().map_or("", String::as_str);
        // `#[path]` counts from the folder of the file that has it.
        let given = path.and_then(|path| Some(file.parent()?.join(path)));
        let (own, shared) = (folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs"));
        let Some(found) = given.into_iter().chain([own, shared]).find(|file| file.is_file()) else {
            bail!("{}: the file of `mod {name}` is not there", file.display());
        };
        let is_shared = found.file_name().is_some_and(|name| name == "mod.rs");
        let children = if is_shared { found.parent() } else { None };
        let children = children.map_or_else(|| folder.join(name), Path::to_owned);
        follow(root, &found, &children, module, sources)?;
    }
    Ok(())
}

struct Declared {
    module: Module,
    folder: PathBuf,
    path: Option<String>,
}

/// The `mod name;` of a file, also of those inside `mod name { .. }`.
fn declarations(items: &[Item], folder: &Path, module: &Module, into: &mut Vec<Declared>) {
    for item in items {
        let Item::Mod(ItemMod { attrs, ident, content, .. }) = item else { continue };
        if is_test(attrs) {
            continue;
        }
        let name = ident.to_string();
        let module = module.child(&name);
        match content {
            Some((_, items)) => declarations(items, &folder.join(&name), &module, into),
            None => into.push(Declared { module, folder: folder.to_owned(), path: path(attrs) }),
        }
    }
}

/// The file of `#[path = ".."]`.
fn path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(file), .. }) => Some(file.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Whether only tests have what bears these attributes.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            conditions(&list.tokens).iter().any(needs_test)
        }
        _ => false,
    })
}

/// Whether a condition of `cfg` can only hold in tests.
fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => {
            conditions(&list.tokens).iter().any(needs_test)
        }
        Meta::List(list) if list.path.is_ident("any") => {
            conditions(&list.tokens).iter().all(needs_test)
        }
        _ => false,
    }
}

fn conditions(tokens: &TokenStream) -> Vec<Meta> {
    let list = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens.clone());
    list.map(|list| list.into_iter().collect()).unwrap_or_default()
}
