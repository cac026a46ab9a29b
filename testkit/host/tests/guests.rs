//! What the comparison with Envoy (`conformance`) cannot show: the host's own
//! instruments, and guests that break.

use proxy_wasm_test_host::{
    Callback, Error, Host, LogLevel, Module, Outcome, Plugin, Status, Vm, VmConfig,
};
use std::time::Duration;

/// A module with what every filter has, and `body`.
fn module(imports: &str, body: &str) -> Module {
    let text = format!(
        r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            {imports}
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 4096))
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32)
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 0))))
            {body})"#
    );
    Module::new(text).expect("a module")
}

fn start(module: &Module) -> (Vm, Plugin) {
    let vm = Host::new().vm(module).expect("a VM");
    let plugin = vm.configure("").expect("a configuration");
    (vm, plugin)
}

fn get() -> [(&'static str, &'static str); 2] {
    [(":method", "GET"), (":path", "/")]
}

#[test]
fn a_module_that_envoy_refuses_is_refused() {
    let missing = |text: &str| match Module::new(text) {
        Err(Error::Module(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(missing("(module)").contains("proxy_abi_version_0_2_1"));
    let abi = r#"(func (export "proxy_abi_version_0_2_0"))"#;
    assert!(missing(&format!("(module {abi})")).contains("proxy_on_memory_allocate"));
    let allocator = r#"(func (export "malloc") (param i32) (result i32) (i32.const 8))"#;
    assert!(missing(&format!("(module {abi} {allocator})")).contains("memory"));
    let memory = r#"(memory (export "memory") 1)"#;
    assert!(Module::new(format!("(module {abi} {allocator} {memory})")).is_ok());
    assert!(matches!(Module::new("no module"), Err(Error::Module(_))));
    assert!(matches!(Module::from_file("/nowhere.wasm"), Err(Error::Module(_))));
}

#[test]
fn a_module_without_callbacks_passes_everything_on() {
    let (vm, plugin) = start(&module("", ""));
    vm.open_journal();
    let mut stream = plugin.stream();
    assert_eq!(stream.request_headers(get(), false), Outcome::Continue);
    assert_eq!(stream.request_body("abc", false), Outcome::Continue);
    assert_eq!(stream.request_body("def", false), Outcome::Continue);
    assert_eq!(stream.request_trailers([("a", "b")]), Outcome::Continue);
    assert_eq!(stream.response_headers([(":status", "200")], true), Outcome::Continue);
    stream.end();
    assert_eq!(stream.forwarded_request_body(), b"abcdef");
    assert_eq!(stream.response().get(":status"), Some(&b"200"[..]));
    assert_eq!(stream.route_cache_clears(), 0);
    assert_eq!(vm.close_journal().records, []);
}

#[test]
fn an_unknown_import_traps_by_name_when_it_is_called() {
    let module = module(
        r#"(import "env" "proxy_http_call"
            (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
           (import "elsewhere" "thing" (func (param i64)))"#,
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))"#,
    );
    let (vm, plugin) = start(&module);
    plugin.stream().request_headers(get(), true);
    let trap = vm.trap().expect("a trap");
    assert_eq!(trap.callback, Callback::RequestHeaders);
    assert!(trap.message.contains("env.proxy_http_call"), "{trap}");
}

#[test]
fn a_trap_ends_the_vm_for_all_its_streams() {
    let module = module(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (local.get 2) (then unreachable))
            (i32.const 0))
           (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            (i32.const 0))"#,
    );
    let (vm, mut plugin) = start(&module);
    let mut open = plugin.stream();
    assert_eq!(open.request_headers(get(), false), Outcome::Continue);
    let fails = |outcome| match outcome {
        Outcome::Reply(reply) => {
            assert_eq!((reply.status, &*reply.details), (503, &b"wasm_fail_stream"[..]));
        }
        other => panic!("{other:?}"),
    };
    fails(plugin.stream().request_headers(get(), true));
    fails(open.response_headers([(":status", "200")], true));
    fails(plugin.stream().request_headers(get(), false));
    open.end();
    assert!(matches!(plugin.update(""), Err(Error::Trap(_))));
    let other = vm.host().vm(&module).expect("another VM").configure("").expect("a configuration");
    assert_eq!(other.stream().request_headers(get(), false), Outcome::Continue);
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    let module = module(
        "",
        r#"(func (export "proxy_on_tick") (param i32) (loop (br 0)))
        (func (export "proxy_on_context_create") (param i32 i32) (loop (br 0)))"#,
    );
    let config = VmConfig { fuel_limit: 10_000, ..VmConfig::default() };
    let vm = Host::new().vm_with(&module, config).expect("a VM");
    let Err(Error::Trap(trap)) = vm.configure("") else { panic!("no trap") };
    assert_eq!(trap.callback, Callback::ContextCreate);
    assert_eq!(vm.trap(), None, "only the trial's VM is dead");
}

/// Logs `hello` at the level of the request's number of headers.
const LOGS: &str = r#"
    (data (i32.const 16) "hello\e9")
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $log (local.get 1) (i32.const 16) (i32.const 6)))
        (i32.const 0))"#;

#[test]
fn logs_are_kept_from_the_level_on() {
    let (vm, plugin) = start(&module("", LOGS));
    let host = vm.host();
    let log = |headers: usize| {
        plugin.stream().request_headers(vec![("a", "b"); headers], true);
        host.take_logs()
    };
    assert_eq!(log(LogLevel::Debug as usize), []);
    let lines = log(LogLevel::Warn as usize);
    assert_eq!((lines[0].level, &*lines[0].message), (LogLevel::Warn, &b"hello\xe9"[..]));
    host.set_log_level(LogLevel::Debug);
    assert_eq!(log(LogLevel::Debug as usize).len(), 1);
    assert_eq!(log(6), []);
}

#[test]
fn the_journal_has_every_call_and_the_same_fuel_each_time() {
    let (vm, plugin) = start(&module("", LOGS));
    let run = || {
        vm.open_journal();
        let mut stream = plugin.stream();
        stream.request_headers(get(), true);
        stream.end();
        vm.close_journal()
    };
    let journal = run();
    assert_eq!(journal.records.len(), 1);
    let record = &journal.records[0];
    assert_eq!(record.callback, Callback::RequestHeaders);
    assert_eq!(journal.counts().into_iter().collect::<Vec<_>>(), [("proxy_log", 1)]);
    assert!(record.fuel > 0);
    assert_eq!(run().fuel(), journal.fuel());
    assert_eq!(journal.of(Callback::Log).records, []);
    assert_eq!(vm.close_journal().records, [], "it was closed");
}

#[test]
fn the_call_that_is_meant_to_fail_fails() {
    let module = module(
        r#"(import "env" "proxy_set_tick_period_milliseconds"
            (func $tick (param i32) (result i32)))"#,
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $tick (i32.const 0)))
            (drop (call $log (i32.const 2) (i32.const 0) (i32.const 0)))
            (i32.const 0))"#,
    );
    let (vm, plugin) = start(&module);
    let statuses = || {
        vm.open_journal();
        plugin.stream().request_headers(get(), true);
        vm.close_journal().calls().map(|call| call.status).collect::<Vec<_>>()
    };
    for status in Status::FAILURES {
        vm.inject(0, status);
        assert_eq!(statuses(), [status, Status::Ok]);
        assert_eq!(vm.end_injection(), Some("proxy_set_tick_period_milliseconds"));
        vm.inject(1, status);
        assert_eq!(statuses(), [Status::Ok, status]);
        assert_eq!(vm.end_injection(), Some("proxy_log"));
    }
    vm.inject(2, Status::NotFound);
    assert_eq!(statuses(), [Status::Ok, Status::Ok]);
    assert_eq!(vm.end_injection(), None, "there is no third call");
}

#[test]
fn the_clock_is_the_tests() {
    let module = module(
        r#"(import "env" "proxy_get_current_time_nanoseconds"
            (func $time (param i32) (result i32)))"#,
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $time (i32.const 16)))
            (drop (call $log (i32.const 2) (i32.const 16) (i32.const 8)))
            (i32.const 0))"#,
    );
    let (vm, plugin) = start(&module);
    let host = vm.host();
    let time = || {
        plugin.stream().request_headers(get(), true);
        let line = host.take_logs().remove(0).message;
        Duration::from_nanos(u64::from_le_bytes(line.try_into().expect("8 bytes")))
    };
    assert_eq!(time(), host.time());
    host.set_time(Duration::new(1_700_000_000, 5));
    assert_eq!(time(), Duration::new(1_700_000_000, 5));
    host.advance(Duration::from_millis(1));
    assert_eq!(time(), Duration::new(1_700_000_000, 1_000_005));
}

#[test]
fn ticks_come_to_roots_that_ask_for_them() {
    let module = module(
        r#"(import "env" "proxy_set_tick_period_milliseconds"
            (func $period (param i32) (result i32)))"#,
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $period (local.get 1)))
            (i32.const 1))
           (func (export "proxy_on_tick") (param i32)
            (drop (call $log (i32.const 2) (i32.const 0) (i32.const 0))))"#,
    );
    let (vm, mut plugin) = start(&module);
    assert_eq!(vm.tick(), 0);
    plugin.update("a period of its length").expect("a configuration");
    assert_eq!(vm.tick(), 1);
    assert_eq!(vm.host().take_logs().len(), 1);
    plugin.remove();
    assert_eq!(vm.tick(), 0);
    assert_eq!(vm.open_contexts(), 0);
}

#[test]
fn foreign_functions_are_the_tests() {
    let module = module(
        r#"(import "env" "proxy_call_foreign_function"
            (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))"#,
        r#"(data (i32.const 16) "reverse")
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (i32.eqz (call $call (i32.const 16) (i32.const 7) (i32.const 16) (i32.const 7)
                    (i32.const 32) (i32.const 36)))
                (then (drop (call $log (i32.const 2)
                    (i32.load (i32.const 32)) (i32.load (i32.const 36))))))
            (i32.const 0))"#,
    );
    let (vm, plugin) = start(&module);
    let host = vm.host();
    plugin.stream().request_headers(get(), true);
    assert_eq!(host.take_logs(), [], "not known yet");
    host.set_foreign_function("reverse", |argument| Ok(argument.iter().rev().copied().collect()));
    plugin.stream().request_headers(get(), true);
    assert_eq!(host.take_logs()[0].message, b"esrever");
}

#[test]
fn contexts_and_memory_are_counted() {
    let module = module(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (memory.grow (i32.const 2)))
            (i32.const 0))"#,
    );
    let (vm, mut plugin) = start(&module);
    assert_eq!((vm.open_contexts(), vm.memory_size()), (1, 65_536));
    let mut stream = plugin.stream();
    stream.request_headers(get(), true);
    assert_eq!((vm.open_contexts(), vm.memory_size()), (2, 3 * 65_536));
    plugin.update("").expect("a configuration");
    assert_eq!(vm.open_contexts(), 3, "the old root waits for its stream");
    stream.end();
    stream.end();
    assert_eq!(vm.open_contexts(), 1);
    assert_eq!(stream.request().get(":path"), Some(&b"/"[..]), "it can still be looked at");
}

#[test]
fn hostcalls_are_not_allowed_while_the_module_starts() {
    let module = module(
        r#"(import "env" "proxy_done" (func $done (result i32)))"#,
        r#"(func (export "_initialize")
            (drop (call $log (i32.const 2) (i32.const 0) (i32.const 0)))
            (drop (call $done)))"#,
    );
    let host = Host::new();
    let Err(Error::Trap(trap)) = host.vm(&module) else { panic!("no trap") };
    assert!(trap.message.contains("proxy_done"), "{trap}");
    assert_eq!(host.logs().len(), 1, "logging is");
}
