//! The part of WASI preview 1 that a Rust or Go module for a proxy uses, as
//! proxy-wasm-cpp-host implements it (`src/exports.cc`).

use super::{Answer, Guest, Stop};
use crate::journal::Call;
use crate::vm::State;
use crate::{LogLevel, Status};
use wasmi::errors::LinkerError;
use wasmi::{Caller, Linker};

const SUCCESS: u32 = 0;
const BAD_FILE: u32 = 8;
const FAULT: u32 = 21;
const INVALID: u32 = 28;
const NOT_SUPPORTED: u32 = 58;
const MAX_RANDOM: u32 = 64 * 1024;

pub(super) fn define(linker: &mut Linker<State>) -> Result<(), LinkerError> {
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        linker
            .func_wrap(module, "args_sizes_get", |c: Caller<'_, State>, count: u32, size: u32| {
                run(c, "args_sizes_get", |guest| {
                    guest.write_u32(count, 0)?;
                    guest.write_u32(size, 0)
                })
            })?
            .func_wrap(module, "args_get", |c: Caller<'_, State>, _: u32, _: u32| {
                run(c, "args_get", |_| Ok(()))
            })?
            .func_wrap(
                module,
                "environ_sizes_get",
                |c: Caller<'_, State>, count: u32, size: u32| {
                    run(c, "environ_sizes_get", |guest| {
                        let variables = guest.variables();
                        guest.write_u32(count, variables.len() as u32)?;
                        guest.write_u32(size, variables.iter().map(Vec::len).sum::<usize>() as u32)
                    })
                },
            )?
            .func_wrap(module, "environ_get", |c: Caller<'_, State>, pointers: u32, text: u32| {
                run(c, "environ_get", |guest| {
                    let (mut pointers, mut text) = (pointers, text);
                    for variable in guest.variables() {
                        guest.write_u32(pointers, text)?;
                        guest.write(text, &variable)?;
                        pointers += 4;
                        text += variable.len() as u32;
                    }
                    Ok(())
                })
            })?
            .func_wrap(
                module,
                "fd_write",
                |c: Caller<'_, State>, file: u32, slices: u32, count: u32, written_at: u32| {
                    let level = match file {
                        1 => LogLevel::Info,
                        2 => LogLevel::Error,
                        _ => return Ok(BAD_FILE),
                    };
                    run(c, "fd_write", |guest| {
                        let mut text = Vec::new();
                        for slice in guest.read(slices, count * 8)?.chunks_exact(8) {
                            let number =
                                |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| slice[at + i]));
                            text.extend(guest.read(number(0), number(4))?);
                        }
                        let line = text.strip_suffix(b"\n").unwrap_or(&text);
                        if !line.is_empty() {
                            guest.process(|state, process| {
                                process.log(level, state.effective_id(), line);
                            });
                        }
                        guest.write_u32(written_at, text.len() as u32)
                    })
                },
            )?
            .func_wrap(
                module,
                "clock_time_get",
                |c: Caller<'_, State>, clock: u32, _: u64, time_at: u32| {
                    const REALTIME: u32 = 0;
                    const MONOTONIC: u32 = 1;
                    if clock != REALTIME && clock != MONOTONIC {
                        return Ok(NOT_SUPPORTED);
                    }
                    run(c, "clock_time_get", |guest| {
                        let now = guest.process(|_, process| process.now);
                        guest.write_u64(time_at, now.as_nanos() as u64)
                    })
                },
            )?
            .func_wrap(module, "random_get", |c: Caller<'_, State>, at: u32, length: u32| {
                if length > MAX_RANDOM {
                    return Ok(INVALID);
                }
                run(c, "random_get", |guest| {
                    let bytes = guest.process(|_, process| process.random(length as usize));
                    guest.write(at, &bytes)
                })
            })?
            .func_wrap(module, "sched_yield", |c: Caller<'_, State>| {
                run(c, "sched_yield", |_| Ok(()))
            })?
            .func_wrap(
                module,
                "proc_exit",
                |_: Caller<'_, State>, code: u32| -> Result<(), wasmi::Error> {
                    Err(wasmi::Error::new(format!("the module exited with code {code}")))
                },
            )?;
    }
    Ok(())
}

fn run<'a>(
    caller: Caller<'a, State>,
    name: &'static str,
    call: impl FnOnce(&mut Guest<'a>) -> Answer,
) -> Result<u32, wasmi::Error> {
    let mut guest = Guest { caller };
    let (status, number) = match call(&mut guest) {
        Ok(()) => (Status::Ok, SUCCESS),
        Err(Stop::Status(_)) => (Status::InternalFailure, FAULT),
        Err(Stop::Trap(trap)) => return Err(trap),
    };
    guest.state().calls.push(Call { name, status });
    Ok(number)
}

impl Guest<'_> {
    fn variables(&mut self) -> Vec<Vec<u8>> {
        let variables = &self.state().config.environment;
        variables.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
    }
}
