use crate::room::{self, below::Deep};
use std::fmt;

#[derive(Default)]
struct Fields {
    #[serde(with = "crate::target")]
    field: u8,
}

impl Fields {
    fn ask(&self) -> bool {
        // A field and a method; its own name is no question.
        self.dry && self.other.dry() && dry()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use crate::circle::Nothing;

    fn ask(fields: &super::Fields) -> bool {
        fields.dry
    }
}

#[test]
fn test() {
    crate::circle::nothing();
}
