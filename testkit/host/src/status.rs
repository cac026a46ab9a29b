//! What a hostcall answers.

/// The result of a hostcall, with the numbers of the ABI (`WasmResult` in
/// proxy-wasm-cpp-host, `include/proxy-wasm/wasm_vm.h` and `word.h`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
pub enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    SerializationFailure = 3,
    ParseFailure = 4,
    BadExpression = 5,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    ResultMismatch = 9,
    InternalFailure = 10,
    BrokenConnection = 11,
    Unimplemented = 12,
    /// No status of the ABI: what a host of another version may answer. This one
    /// does so only where it is asked to ([`crate::Vm::inject`]).
    Unlisted = u32::MAX,
}

impl Status {
    /// Every status but `Ok`: what a hostcall can be made to answer instead of
    /// doing its work ([`crate::Vm::inject`]).
    pub const FAILURES: [Self; 13] = [
        Self::NotFound,
        Self::BadArgument,
        Self::SerializationFailure,
        Self::ParseFailure,
        Self::BadExpression,
        Self::InvalidMemoryAccess,
        Self::Empty,
        Self::CasMismatch,
        Self::ResultMismatch,
        Self::InternalFailure,
        Self::BrokenConnection,
        Self::Unimplemented,
        Self::Unlisted,
    ];
}
