//! The `proxy_*` functions (proxy-wasm-cpp-host `src/exports.cc`; Envoy
//! `source/extensions/common/wasm/context.cc`).

use super::{Answer, Guest, Stop};
use crate::context::{Access, Context, LocalReply};
use crate::vm::State;
use crate::{LogLevel, Quirk, Status, Value, pairs};
use std::time::Duration;
use wasmi::errors::LinkerError;
use wasmi::{Caller, Linker};

pub(super) fn define(linker: &mut Linker<State>) -> Result<(), LinkerError> {
    macro_rules! define {
        ($($name:ident($($argument:ident: $ty:ty),*);)*) => {$(
            linker.func_wrap(
                "env",
                concat!("proxy_", stringify!($name)),
                |caller: Caller<'_, State>, $($argument: $ty),*| {
                    Guest::proxy_call(caller, concat!("proxy_", stringify!($name)), |guest| {
                        guest.$name($($argument),*)
                    })
                },
            )?;
        )*};
    }
    define! {
        log(level: u32, message: u32, size: u32);
        get_log_level(level_at: u32);
        get_current_time_nanoseconds(time_at: u32);
        set_tick_period_milliseconds(period: u32);
        get_property(path: u32, path_size: u32, pointer_at: u32, size_at: u32);
        set_property(path: u32, path_size: u32, value: u32, value_size: u32);
        get_header_map_value(map: u32, name: u32, name_size: u32, pointer_at: u32, size_at: u32);
        add_header_map_value(map: u32, name: u32, name_size: u32, value: u32, value_size: u32);
        replace_header_map_value(map: u32, name: u32, name_size: u32, value: u32, value_size: u32);
        remove_header_map_value(map: u32, name: u32, name_size: u32);
        get_header_map_pairs(map: u32, pointer_at: u32, size_at: u32);
        set_header_map_pairs(map: u32, pairs: u32, size: u32);
        get_header_map_size(map: u32, size_at: u32);
        get_buffer_bytes(buffer: u32, start: u32, length: u32, pointer_at: u32, size_at: u32);
        get_buffer_status(buffer: u32, length_at: u32, flags_at: u32);
        set_buffer_bytes(buffer: u32, start: u32, length: u32, data: u32, data_size: u32);
        get_shared_data(key: u32, key_size: u32, pointer_at: u32, size_at: u32, cas_at: u32);
        set_shared_data(key: u32, key_size: u32, value: u32, value_size: u32, cas: u32);
        define_metric(kind: u32, name: u32, name_size: u32, id_at: u32);
        increment_metric(id: u32, offset: i64);
        record_metric(id: u32, value: u64);
        get_metric(id: u32, value_at: u32);
        send_local_response(
            status: u32, details: u32, details_size: u32, body: u32, body_size: u32,
            headers: u32, headers_size: u32, grpc_status: u32
        );
        continue_stream(stream: u32);
        call_foreign_function(
            name: u32, name_size: u32, argument: u32, argument_size: u32,
            pointer_at: u32, size_at: u32
        );
        set_effective_context(context: u32);
        get_status(code_at: u32, pointer_at: u32, size_at: u32);
        done();
    }
    Ok(())
}

impl Guest<'_> {
    fn log(&mut self, level: u32, message: u32, size: u32) -> Answer {
        let level = LogLevel::from_abi(level).ok_or(Status::BadArgument)?;
        let message = self.read(message, size)?;
        self.process(|state, process| process.log(level, state.effective_id(), &message));
        Ok(())
    }

    fn get_log_level(&mut self, level_at: u32) -> Answer {
        let level = self.process(|_, process| process.log_level);
        self.write_u32(level_at, level as u32)
    }

    fn get_current_time_nanoseconds(&mut self, time_at: u32) -> Answer {
        let now = self.process(|_, process| process.now);
        self.write_u64(time_at, now.as_nanos() as u64)
    }

    fn set_tick_period_milliseconds(&mut self, period: u32) -> Answer {
        let period = Duration::from_millis(period.into());
        if let Some(root) = self.state().effective_root() {
            root.tick_period = period;
        }
        Ok(())
    }

    // === properties ===

    fn get_property(&mut self, path: u32, size: u32, pointer_at: u32, size_at: u32) -> Answer {
        let path = self.read(path, size)?;
        let mut parts: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
        // A zero byte at the end closes the last part and opens no other.
        if parts.last().is_some_and(|last| last.is_empty()) {
            parts.pop();
        }
        let value = self.process(|state, process| {
            let value = state.property(process, &parts)?;
            Ok::<_, Status>(match value {
                Value::Bool(_) if process.quirk == Some(Quirk::WideBooleans) => {
                    let mut wide = value.encode();
                    wide.resize(8, 0);
                    wide
                }
                value => value.encode(),
            })
        })?;
        self.give(&value, pointer_at, size_at)
    }

    fn set_property(&mut self, path: u32, path_size: u32, value: u32, value_size: u32) -> Answer {
        let path = self.read(path, path_size)?;
        let value = self.read(value, value_size)?;
        self.stream(Status::NotFound)?.filter_state.insert(path, value);
        Ok(())
    }

    // === header maps ===

    fn get_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        pointer_at: u32,
        size_at: u32,
    ) -> Answer {
        let name = self.read(name, name_size)?;
        let quirk = self.process(|_, process| process.quirk);
        let values = self.map(map, Access::Read)?.get_all(&name);
        let value = match quirk {
            Some(Quirk::LastOfDuplicates) => values.last(),
            _ => values.first(),
        };
        let value = value.ok_or(Status::NotFound)?.to_vec();
        if value.is_empty() && quirk == Some(Quirk::EmptyIsMissing) {
            return Err(Status::NotFound.into());
        }
        self.give(&value, pointer_at, size_at)
    }

    fn add_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        value: u32,
        value_size: u32,
    ) -> Answer {
        let name = self.read(name, name_size)?;
        let value = self.read(value, value_size)?;
        self.map(map, Access::Write)?.add(&name, &value);
        Ok(())
    }

    fn replace_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        value: u32,
        value_size: u32,
    ) -> Answer {
        let name = self.read(name, name_size)?;
        let value = self.read(value, value_size)?;
        self.map(map, Access::Write)?.replace(&name, &value);
        Ok(())
    }

    fn remove_header_map_value(&mut self, map: u32, name: u32, name_size: u32) -> Answer {
        let name = self.read(name, name_size)?;
        self.map(map, Access::Write)?.remove(&name);
        Ok(())
    }

    fn get_header_map_pairs(&mut self, map: u32, pointer_at: u32, size_at: u32) -> Answer {
        known_map(map)?;
        // No map and an empty map are one to Envoy.
        let bytes = match self.context() {
            Context::Stream(stream) => stream.map(map, Access::Read),
            Context::Vm | Context::Root(_) => None,
        }
        .filter(|map| !map.is_empty())
        .map(|map| pairs::encode(map.pairs()))
        .unwrap_or_default();
        self.give(&bytes, pointer_at, size_at)
    }

    fn set_header_map_pairs(&mut self, map: u32, pairs: u32, size: u32) -> Answer {
        let pairs = self.read_pairs(pairs, size)?;
        let map = self.map(map, Access::Write)?;
        map.clear();
        for (name, value) in pairs {
            map.add(&name, &value);
        }
        Ok(())
    }

    fn get_header_map_size(&mut self, map: u32, size_at: u32) -> Answer {
        let size = self.map(map, Access::Measure)?.byte_size();
        self.write_u32(size_at, size as u32)
    }

    /// A header map of the current stream. To write to the request's headers
    /// clears the route cache, whatever is written.
    fn map(&mut self, map: u32, access: Access) -> Result<&mut crate::HeaderMap, Stop> {
        let stream = self.stream(Status::BadArgument)?;
        Ok(stream.map(map, access).ok_or(Status::BadArgument)?)
    }

    // === buffers ===

    fn get_buffer_bytes(
        &mut self,
        buffer: u32,
        start: u32,
        length: u32,
        pointer_at: u32,
        size_at: u32,
    ) -> Answer {
        let bytes = self.buffer(buffer)?;
        let end = (start as usize + length as usize).min(bytes.len());
        let start = (start as usize).min(end);
        self.give(&bytes[start..end], pointer_at, size_at)
    }

    fn get_buffer_status(&mut self, buffer: u32, length_at: u32, flags_at: u32) -> Answer {
        let length = self.buffer(buffer)?.len() as u32;
        self.write_u32(length_at, length)?;
        self.write_u32(flags_at, 0)
    }

    fn set_buffer_bytes(
        &mut self,
        buffer: u32,
        start: u32,
        length: u32,
        data: u32,
        data_size: u32,
    ) -> Answer {
        self.buffer(buffer)?;
        let data = self.read(data, data_size)?;
        let stream = self.stream(Status::BadArgument)?;
        let body = stream.body(buffer).ok_or(Status::BadArgument)?;
        let (start, length) = (start as usize, length as usize);
        if start == 0 {
            body.splice(0..length.min(body.len()), data);
        } else if start >= body.len() {
            body.extend(data);
        } else {
            return Err(Status::BadArgument.into());
        }
        Ok(())
    }

    fn buffer(&mut self, buffer: u32) -> Result<Vec<u8>, Stop> {
        const NETWORK_DOWNSTREAM: u32 = 2;
        const NETWORK_UPSTREAM: u32 = 3;
        const GRPC_RECEIVE: u32 = 5;
        const VM_CONFIGURATION: u32 = 6;
        const PLUGIN_CONFIGURATION: u32 = 7;
        const CALL_DATA: u32 = 8;
        match buffer {
            0 | 1 => Ok(match self.context() {
                Context::Stream(stream) => stream.body(buffer).cloned().unwrap_or_default(),
                Context::Vm | Context::Root(_) => Vec::new(),
            }),
            NETWORK_DOWNSTREAM | NETWORK_UPSTREAM | GRPC_RECEIVE | CALL_DATA => Ok(Vec::new()),
            VM_CONFIGURATION => Ok(self.state().config.configuration.clone()),
            PLUGIN_CONFIGURATION => {
                let configuration = self.state().plugin_configuration.clone();
                Ok(configuration.ok_or(Status::NotFound)?)
            }
            number if number > CALL_DATA => Err(Status::BadArgument.into()),
            _ => Err(Status::NotFound.into()),
        }
    }

    // === shared data ===

    fn get_shared_data(
        &mut self,
        key: u32,
        key_size: u32,
        pointer_at: u32,
        size_at: u32,
        cas_at: u32,
    ) -> Answer {
        let key = self.read(key, key_size)?;
        let (value, cas) =
            self.process(|state, process| process.shared_data.get(&state.config.vm_id, &key))?;
        self.give(&value, pointer_at, size_at)?;
        self.write_u32(cas_at, cas)
    }

    fn set_shared_data(
        &mut self,
        key: u32,
        key_size: u32,
        value: u32,
        value_size: u32,
        cas: u32,
    ) -> Answer {
        let key = self.read(key, key_size)?;
        let value = self.read(value, value_size)?;
        self.process(|state, process| {
            let quirk = process.quirk;
            process.shared_data.set(&state.config.vm_id, &key, &value, cas, quirk)
        })?;
        Ok(())
    }

    // === metrics ===

    fn define_metric(&mut self, kind: u32, name: u32, name_size: u32, id_at: u32) -> Answer {
        let name = self.read(name, name_size)?;
        let id = self
            .process(|state, process| state.metric_ids.define(&mut process.metrics, kind, &name))?;
        self.write_u32(id_at, id)
    }

    fn increment_metric(&mut self, id: u32, offset: i64) -> Answer {
        self.process(|state, process| {
            let quirk = process.quirk;
            state.metric_ids.increment(&mut process.metrics, id, offset, quirk)
        })?;
        Ok(())
    }

    fn record_metric(&mut self, id: u32, value: u64) -> Answer {
        self.process(|state, process| state.metric_ids.record(&mut process.metrics, id, value))?;
        Ok(())
    }

    fn get_metric(&mut self, id: u32, value_at: u32) -> Answer {
        let value =
            self.process(|state, process| state.metric_ids.get(&mut process.metrics, id))?;
        self.write_u64(value_at, value)
    }

    // === the stream's way ===

    #[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
    fn send_local_response(
        &mut self,
        status: u32,
        details: u32,
        details_size: u32,
        body: u32,
        body_size: u32,
        headers: u32,
        headers_size: u32,
        grpc_status: u32,
    ) -> Answer {
        let reply = LocalReply {
            status,
            details: self.read(details, details_size)?,
            body: self.read(body, body_size)?,
            headers: self.read_pairs(headers, headers_size)?,
            grpc_status: grpc_status.cast_signed(),
        };
        self.state().stop_iteration = true;
        if let Context::Stream(stream) = self.context() {
            stream.pending_reply.get_or_insert(reply);
        }
        Ok(())
    }

    fn continue_stream(&mut self, stream: u32) -> Answer {
        const REQUEST: u32 = 0;
        const RESPONSE: u32 = 1;
        if stream != REQUEST && stream != RESPONSE {
            return Err(Status::BadArgument.into());
        }
        if let Context::Stream(context) = self.context() {
            context.resume(stream == REQUEST);
        }
        Ok(())
    }

    fn call_foreign_function(
        &mut self,
        name: u32,
        name_size: u32,
        argument: u32,
        argument_size: u32,
        pointer_at: u32,
        size_at: u32,
    ) -> Answer {
        let name = self.read(name, name_size)?;
        let argument = self.read(argument, argument_size)?;
        let result = if name == b"clear_route_cache" {
            if let Context::Stream(stream) = self.context() {
                stream.route_cache_clears += 1;
            }
            Vec::new()
        } else {
            let function = self.process(|_, process| process.foreign.get(&name).cloned());
            function.ok_or(Status::NotFound)?(&argument)?
        };
        self.give(&result, pointer_at, size_at)
    }

    fn set_effective_context(&mut self, context: u32) -> Answer {
        let state = self.state();
        if !state.contexts.contains_key(&context) {
            return Err(Status::BadArgument.into());
        }
        state.effective = Some(context);
        Ok(())
    }

    fn get_status(&mut self, code_at: u32, pointer_at: u32, size_at: u32) -> Answer {
        self.write_u32(code_at, 0)?;
        self.give(&[], pointer_at, size_at)
    }

    fn done(&mut self) -> Answer {
        match self.context() {
            Context::Root(root) if root.waits_for_done => {
                root.waits_for_done = false;
                root.finished = true;
                Ok(())
            }
            _ => Err(Status::NotFound.into()),
        }
    }
}

/// The numbers of maps end here, whether or not there is such a map.
fn known_map(map: u32) -> Result<(), Status> {
    const LAST: u32 = 7;
    if map > LAST {
        return Err(Status::BadArgument);
    }
    Ok(())
}
