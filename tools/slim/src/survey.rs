//! What a module's functions call, and how.

use std::collections::BTreeMap;
use wasmparser::{
    ConstExpr, ElementItems, Error, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef,
};

/// Functions and types are named by their index, imported functions first.
#[derive(Default)]
pub(crate) struct Survey {
    pub(crate) exports: BTreeMap<String, (ExternalKind, u32)>,
    pub(crate) imported: usize,
    /// By function: its type. Equal types have one number.
    pub(crate) types: Vec<u32>,
    /// By function without the imported ones.
    pub(crate) bodies: Vec<Calls>,
    /// What a table holds: these are called by their type only, `call_indirect`.
    pub(crate) in_tables: Vec<u32>,
    /// A host that has the table may call what it holds.
    pub(crate) has_imported_table: bool,
    /// What is needed whatever is exported: the start function, and what globals refer to.
    pub(crate) roots: Vec<u32>,
}

/// What one function calls.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) functions: Vec<u32>,
    pub(crate) types: Vec<u32>,
}

impl Survey {
    /// Reads a valid module.
    pub(crate) fn read(module: &[u8]) -> Result<Self, Error> {
        let mut survey = Self::default();
        let mut declared = Vec::new();
        // By type index: the first index with an equal type.
        let mut first_equal: Vec<u32> = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        let ty = ty?;
                        let known = declared.iter().position(|d| *d == ty);
                        first_equal.push(known.unwrap_or(declared.len()) as u32);
                        declared.push(ty);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(ty) => survey.types.push(first_equal[ty as usize]),
                            TypeRef::Table(_) => survey.has_imported_table = true,
                            _ => {}
                        }
                    }
                    survey.imported = survey.types.len();
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        survey.types.push(first_equal[ty? as usize]);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        survey.roots.extend(references(&global?.init_expr)?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        survey.exports.insert(export.name.into(), (export.kind, export.index));
                    }
                }
                Payload::StartSection { func, .. } => survey.roots.push(func),
                Payload::ElementSection(section) => {
                    for element in section {
                        match element?.items {
                            ElementItems::Functions(items) => {
                                for function in items {
                                    survey.in_tables.push(function?);
                                }
                            }
                            ElementItems::Expressions(_, items) => {
                                for item in items {
                                    survey.in_tables.extend(references(&item?)?);
                                }
                            }
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    survey.bodies.push(Calls::read(&body, &first_equal)?);
                }
                _ => {}
            }
        }
        Ok(survey)
    }
}

impl Calls {
    fn read(body: &FunctionBody<'_>, first_equal: &[u32]) -> Result<Self, Error> {
        let mut calls = Self::default();
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index } | Operator::RefFunc { function_index } => {
                    calls.functions.push(function_index);
                }
                Operator::CallIndirect { type_index, .. } => {
                    calls.types.push(first_equal[type_index as usize]);
                }
                _ => {}
            }
        }
        Ok(calls)
    }
}

fn references(expression: &ConstExpr<'_>) -> Result<Vec<u32>, Error> {
    let mut functions = Vec::new();
    for operator in expression.get_operators_reader() {
        if let Operator::RefFunc { function_index } = operator? {
            functions.push(function_index);
        }
    }
    Ok(functions)
}
