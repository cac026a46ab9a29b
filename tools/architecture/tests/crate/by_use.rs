use crate::room::{self, below::Deep};
use std::fmt;

#[derive(Default)]
struct Fields {
    #[serde(with = "crate::target")]
    dry: bool,
}

impl Fields {
    fn ask(&self) -> bool {
        // Bound once, and asked three times.
        let Fields { dry, .. } = self;
        self.dry && self.other.dry() && dry
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
