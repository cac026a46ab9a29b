use crate::room::Exported;

pub const VALUE: u8 = 0;
