//! The module without the functions that cannot run.

use crate::survey::Survey;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ExportSection, Function, FunctionSection, ImportSection, Instruction, Module,
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, Export, FunctionSectionReader, ImportSectionReader,
    Parser, TypeRef,
};

pub(crate) fn rewrite(
    module: &[u8],
    survey: &Survey,
    runs: &[bool],
    keep: &[String],
) -> Result<Vec<u8>, Error> {
    let mut slim = Module::new();
    Rewriter::new(survey, runs, keep).parse_core_module(&mut slim, Parser::new(0), module)?;
    Ok(slim.finish())
}

struct Rewriter<'a> {
    imported: usize,
    /// By old function: what becomes of it.
    fates: Vec<Fate>,
    /// By old function: its new index.
    indices: Vec<u32>,
    keep: &'a [String],
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Kept,
    /// A table has a place for it, and places cannot be left away. One function stands in for
    /// all such, and traps.
    StandIn,
    Dropped,
}

impl<'a> Rewriter<'a> {
    fn new(survey: &Survey, runs: &[bool], keep: &'a [String]) -> Self {
        let fate = |runs: &bool| if *runs { Fate::Kept } else { Fate::Dropped };
        let mut fates: Vec<Fate> = runs.iter().map(fate).collect();
        let stand_in = survey.in_tables.iter().map(|f| *f as usize).find(|f| !runs[*f]);
        // An imported function has no body to replace.
        let is_imported = stand_in.is_some_and(|f| f < survey.imported);
        if let Some(stand_in) = stand_in {
            fates[stand_in] = if is_imported { Fate::Kept } else { Fate::StandIn };
        }
        let mut next = 0;
        let mut indices = vec![0; fates.len()];
        for (index, fate) in indices.iter_mut().zip(&fates) {
            if *fate != Fate::Dropped {
                *index = next;
                next += 1;
            }
        }
        let stand_in = stand_in.map_or(0, |f| indices[f]);
        for (index, fate) in indices.iter_mut().zip(&fates) {
            if *fate == Fate::Dropped {
                *index = stand_in;
            }
        }
        Self { imported: survey.imported, fates, indices, keep }
    }
}

impl Reencode for Rewriter<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        Ok(self.indices[function as usize])
    }

    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error> {
        let mut function = 0;
        for import in section.into_imports() {
            let import = import?;
            if matches!(import.ty, TypeRef::Func(_)) {
                function += 1;
                if self.fates[function - 1] == Fate::Dropped {
                    continue;
                }
            }
            self.parse_import(imports, import)?;
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        for (ty, fate) in section.into_iter().zip(&self.fates[self.imported..]) {
            if *fate != Fate::Dropped {
                functions.function(ty?);
            }
        }
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: Export<'_>,
    ) -> Result<(), Error> {
        if self.keep.iter().any(|name| name == export.name) {
            utils::parse_export(self, exports, export)?;
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        for (function, body) in (self.imported..).zip(section) {
            match self.fates[function] {
                Fate::Kept => self.parse_function_body(code, body?)?,
                Fate::StandIn => {
                    let mut body = Function::new([]);
                    body.instruction(&Instruction::Unreachable).instruction(&Instruction::End);
                    code.function(&body);
                }
                Fate::Dropped => {}
            }
        }
        Ok(())
    }
}
