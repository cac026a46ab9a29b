//! The paths in a crate's files, each resolved to the file that it leads to.

use crate::source::{Module, Source, is_test};
use proc_macro2::{LineColumn, TokenStream, TokenTree};
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Ident, LitStr, UseTree};

/// From one file to another (both as indices of `sources`), with the first line that says so.
pub(crate) type Arrows = BTreeMap<(usize, usize), usize>;

/// What the files of a crate say of each other.
pub(crate) struct Imports {
    pub(crate) arrows: Arrows,
    /// For each file the lines that only tests have.
    pub(crate) tests: Vec<Vec<RangeInclusive<usize>>>,
}

/// Reads all imports; `library` is the name by which a package's programs call its library, which
/// is the first root.
pub(crate) fn read(sources: &[Source], library: Option<&str>) -> Imports {
    let mut files: Vec<FileVisitor> = sources.iter().map(FileVisitor::read).collect();
    let mut names = Names { library, modules: HashMap::new(), aliases: HashMap::new() };
    for (file, visitor) in files.iter_mut().enumerate() {
        for module in &visitor.modules {
            names.modules.insert(module.clone(), file);
        }
        for Alias { module, name, path } in visitor.aliases.drain(..) {
            names.aliases.insert((module, name), path);
        }
    }
    let mut arrows = Arrows::new();
    for (from, visitor) in files.iter().enumerate() {
        for Mention { module, path, line } in &visitor.mentions {
            if let Some(to) = names.file(module, path).filter(|to| *to != from) {
                let first = arrows.entry((from, to)).or_insert(*line);
                *first = (*line).min(*first);
            }
        }
    }
    Imports { arrows, tests: files.into_iter().map(|visitor| visitor.tests).collect() }
}

/// What names stand for.
struct Names<'a> {
    library: Option<&'a str>,
    /// The file of each module.
    modules: HashMap<Module, usize>,
    /// What a `use` in a module brings there.
    aliases: HashMap<(Module, String), Vec<String>>,
}

impl Names<'_> {
    /// The file that defines what a path in a module leads to; none for what other crates have.
    fn file(&self, module: &Module, path: &[String]) -> Option<usize> {
        let (Target::Module(module) | Target::ItemOf(module)) = self.resolve(module, path, 0)?;
        self.modules.get(&module).copied()
    }

    /// What a path leads to. A `use` may lead to a `use`, but not for ever.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<Target> {
        if depth > 16 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module { root: module.root, names: Vec::new() },
            "self" => module.clone(),
            "super" => module.parent(),
            // Not an item of this file but a name of the prelude, or one that is said without `use`.
            _ => match self.step(module, first, depth)? {
                Target::Module(module) => module,
                Target::ItemOf(defines) if defines == *module => return None,
                item => return Some(item),
            },
        };
        for name in rest {
            match name.as_str() {
                "super" => at = at.parent(),
                "self" => {}
                _ => match self.step(&at, name, depth) {
                    Some(Target::Module(module)) => at = module,
                    Some(item) => return Some(item),
                    None => return Some(Target::ItemOf(at)),
                },
            }
        }
        Some(Target::Module(at))
    }

    /// What a name stands for in a module; none if that is another crate's.
    fn step(&self, at: &Module, name: &str, depth: usize) -> Option<Target> {
        let child = at.child(name);
        if self.modules.contains_key(&child) {
            return Some(Target::Module(child));
        }
        if let Some(path) = self.aliases.get(&(at.clone(), name.to_owned())) {
            // `use serde;` names itself.
            let names_itself = path.first().is_some_and(|first| first == name);
            return if names_itself { None } else { self.resolve(at, path, depth + 1) };
        }
        if at.root > 0 && self.library == Some(name) {
            return Some(Target::Module(Module { root: 0, names: Vec::new() }));
        }
        Some(Target::ItemOf(at.clone()))
    }
}

/// What a path leads to: a module, or an item that this module defines.
enum Target {
    Module(Module),
    ItemOf(Module),
}

struct Alias {
    module: Module,
    name: String,
    path: Vec<String>,
}

struct Mention {
    module: Module,
    path: Vec<String>,
    line: usize,
}

/// What one file has: modules, what `use` brings, and every path.
struct FileVisitor {
    at: Module,
    modules: Vec<Module>,
    aliases: Vec<Alias>,
    mentions: Vec<Mention>,
    tests: Vec<RangeInclusive<usize>>,
}

impl FileVisitor {
    fn read(source: &Source) -> Self {
        let mut visitor = Self {
            at: source.module.clone(),
            modules: vec![source.module.clone()],
            aliases: Vec::new(),
            mentions: Vec::new(),
            tests: Vec::new(),
        };
        visitor.visit_file(&source.syntax);
        visitor
    }

    fn mention(&mut self, path: Vec<String>, at: LineColumn) {
        self.mentions.push(Mention { module: self.at.clone(), path, line: at.line });
    }

    fn uses(&mut self, tree: &UseTree, mut prefix: Vec<String>) {
        let at = tree.span().start();
        let (last, name) = match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                return self.uses(&path.tree, prefix);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.uses(tree, prefix.clone()));
            }
            UseTree::Glob(_) => return self.mention(prefix, at),
            UseTree::Name(name) => (&name.ident, &name.ident),
            UseTree::Rename(name) => (&name.ident, &name.rename),
        };
        let name = match prefix.last() {
            // `a::{self}` is called `a`.
            Some(before) if name == "self" => before.clone(),
            _ => name.to_string(),
        };
        if last != "self" || prefix.is_empty() {
            prefix.push(last.to_string());
        }
        self.aliases.push(Alias { module: self.at.clone(), name, path: prefix.clone() });
        self.mention(prefix, at);
    }

    /// The paths in what a macro gets, which is not parsed: names with `::` between them. In
    /// attributes a string may be a path too (`#[serde(with = "crate::hex")]`).
    fn tokens(&mut self, tokens: &TokenStream, strings: bool) {
        let mut path: Vec<Ident> = Vec::new();
        let mut colons = 0;
        for token in tokens.clone() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' && colons < 2 => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path(&path);
                        path.clear();
                    }
                    path.push(ident);
                }
                other => {
                    self.path(&path);
                    path.clear();
                    match other {
                        TokenTree::Group(group) => self.tokens(&group.stream(), strings),
                        TokenTree::Literal(literal) if strings => {
                            let text = syn::parse_str::<LitStr>(&literal.to_string());
                            if let Some(path) = text.ok().and_then(|text| text.parse().ok()) {
                                self.visit_path(&path);
                            }
                        }
                        _ => {}
                    }
                }
            }
            colons = 0;
        }
        self.path(&path);
    }

    fn path(&mut self, path: &[Ident]) {
        if let [first, _, ..] = path {
            self.mention(path.iter().map(Ident::to_string).collect(), first.span().start());
        }
    }
}

/// Visits a node unless only tests have it.
macro_rules! without_tests {
    ($($visit:ident($node:ty))*) => {$(
        fn $visit(&mut self, node: &'ast $node) {
            if is_test(&node.attrs) {
                self.tests.push(node.span().start().line..=node.span().end().line);
            } else {
                visit::$visit(self, node);
            }
        }
    )*};
}

impl<'ast> Visit<'ast> for FileVisitor {
    without_tests! {
        visit_item_const(syn::ItemConst)
        visit_item_enum(syn::ItemEnum)
        visit_item_fn(syn::ItemFn)
        visit_item_impl(syn::ItemImpl)
        visit_item_macro(syn::ItemMacro)
        visit_item_static(syn::ItemStatic)
        visit_item_struct(syn::ItemStruct)
        visit_item_trait(syn::ItemTrait)
        visit_item_type(syn::ItemType)
        visit_impl_item_const(syn::ImplItemConst)
        visit_impl_item_fn(syn::ImplItemFn)
        visit_trait_item_fn(syn::TraitItemFn)
        visit_field(syn::Field)
        visit_variant(syn::Variant)
        visit_local(syn::Local)
        visit_arm(syn::Arm)
    }

    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        if is_test(&node.attrs) {
            self.tests.push(node.span().start().line..=node.span().end().line);
        } else if node.content.is_some() {
            let outside = self.at.clone();
            self.at = outside.child(&node.ident.to_string());
            self.modules.push(self.at.clone());
            visit::visit_item_mod(self, node);
            self.at = outside;
        }
    }

    fn visit_item_use(&mut self, node: &'ast syn::ItemUse) {
        if is_test(&node.attrs) {
            self.tests.push(node.span().start().line..=node.span().end().line);
        } else if node.leading_colon.is_none() {
            self.uses(&node.tree, Vec::new());
        }
    }

    fn visit_path(&mut self, node: &'ast syn::Path) {
        if node.leading_colon.is_none() && node.segments.len() > 1 {
            let path = node.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.mention(path, node.span().start());
        }
        visit::visit_path(self, node);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.visit_path(&node.path);
        self.tokens(&node.tokens, false);
    }

    fn visit_attribute(&mut self, node: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &node.meta {
            self.tokens(&list.tokens, true);
        }
    }

    // `pub(in path)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}
