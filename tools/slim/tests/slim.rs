//! Slim modules, run.

use slim::{Error, slim};
use wasmi::{Engine, Instance, Linker, Module, Store};

fn slimmed(wat: &str, keep: &[&str]) -> Result<Vec<u8>, Error> {
    let keep: Vec<String> = keep.iter().map(|name| (*name).to_owned()).collect();
    slim(&wat::parse_str(wat).expect("the test's module"), &keep)
}

/// An instance; every import gives 7.
fn instance(module: &[u8]) -> (Store<()>, Instance) {
    let engine = Engine::default();
    let module = Module::new(&engine, module).expect("a valid module");
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    for import in module.imports() {
        linker.func_wrap(import.module(), import.name(), || 7).expect("a new import");
    }
    let instance = linker.instantiate_and_start(&mut store, &module).expect("an instance");
    (store, instance)
}

fn call(module: &[u8], name: &str, argument: i32) -> Result<i32, wasmi::Error> {
    let (mut store, instance) = instance(module);
    instance.get_typed_func::<i32, i32>(&store, name)?.call(&mut store, argument)
}

fn parsed(module: &[u8]) -> Module {
    Module::new(&Engine::default(), module).expect("a valid module")
}

fn exports(module: &[u8]) -> Vec<String> {
    parsed(module).exports().map(|export| export.name().to_owned()).collect()
}

fn imports(module: &[u8]) -> Vec<String> {
    parsed(module).imports().map(|import| import.name().to_owned()).collect()
}

fn bodies(module: &[u8]) -> usize {
    wasmparser::Parser::new(0)
        .parse_all(module)
        .filter(|payload| matches!(payload, Ok(wasmparser::Payload::CodeSectionEntry(_))))
        .count()
}

/// Direct calls: `used` calls `helper` and the import `needed`.
const DIRECT: &str = r#"(module
  (import "env" "unneeded" (func $unneeded (result i32)))
  (import "env" "needed" (func $needed (result i32)))
  (memory (export "memory") 1)
  (func $lost (export "unused") (param i32) (result i32) (call $unneeded))
  (func $helper (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
  (func (export "used") (param i32) (result i32)
    (i32.add (call $helper (local.get 0)) (call $needed)))
  (@custom "producers" "somebody"))"#;

#[test]
fn only_what_is_named_stays() {
    let module = slimmed(DIRECT, &["memory", "used"]).expect("slim");
    assert_eq!(exports(&module), ["memory", "used"]);
    assert_eq!(imports(&module), ["needed"]);
    assert_eq!(bodies(&module), 2);
    assert_eq!(call(&module, "used", 5).expect("22"), 22);
}

#[test]
fn custom_sections_go() {
    let has_custom = |module: &[u8]| module.windows(9).any(|bytes| bytes == b"producers");
    assert!(has_custom(&wat::parse_str(DIRECT).expect("the test's module")));
    assert!(!has_custom(&slimmed(DIRECT, &["used"]).expect("slim")));
}

#[test]
fn slim_again_is_the_same() {
    let once = slimmed(DIRECT, &["memory", "used"]).expect("slim");
    let twice = slim(&once, &["memory".to_owned(), "used".to_owned()]).expect("slim");
    assert_eq!(once, twice);
}

#[test]
fn a_name_that_is_not_exported_is_an_error() {
    let error = slimmed(DIRECT, &["used", "usde"]).expect_err("no such export");
    assert_eq!(error.to_string(), "the module exports no usde; it exports memory, unused, used");
}

#[test]
fn what_is_no_module_is_an_error() {
    assert!(matches!(slim(b"\0asm nonsense", &[]), Err(Error::Invalid(_))));
}

/// A table of three functions: two of the type that `virtual` calls, one of a type that only
/// `wide` calls.
const INDIRECT: &str = r#"(module
  (import "env" "far" (func $far (result i32)))
  (type $narrow (func (param i32) (result i32)))
  (type $wide (func (param i32 i32) (result i32)))
  (type $narrow_too (func (param i32) (result i32)))
  (table 4 4 funcref)
  (elem (i32.const 0) $add_two $double $far $plus_one)
  (func $add_two (type $wide) (i32.add (local.get 0) (call $only_for_wide (local.get 1))))
  (func $only_for_wide (type $narrow) (local.get 0))
  (func $double (type $narrow) (i32.mul (local.get 0) (i32.const 2)))
  (func $plus_one (type $narrow_too) (i32.add (local.get 0) (i32.const 1)))
  (func (export "virtual") (param i32) (result i32)
    (call_indirect (type $narrow) (i32.const 10) (local.get 0)))
  (func (export "wide") (param i32) (result i32)
    (call_indirect (type $wide) (i32.const 10) (i32.const 4) (local.get 0))))"#;

#[test]
fn a_table_keeps_the_types_that_are_called_and_its_places() {
    let module = slimmed(INDIRECT, &["virtual"]).expect("slim");
    // virtual, double, plus_one, and one that stands in for add_two
    assert_eq!(bodies(&module), 4);
    assert_eq!(call(&module, "virtual", 1).expect("double"), 20);
    assert_eq!(call(&module, "virtual", 3).expect("plus_one"), 11);
}

#[test]
fn a_place_of_another_type_traps_as_before() {
    let whole = wat::parse_str(INDIRECT).expect("the test's module");
    let slim = slimmed(INDIRECT, &["virtual"]).expect("slim");
    for place in [0, 2] {
        assert!(call(&whole, "virtual", place).is_err());
        assert!(call(&slim, "virtual", place).is_err());
    }
}

#[test]
fn both_types_called_keep_all() {
    let module = slimmed(INDIRECT, &["virtual", "wide"]).expect("slim");
    assert_eq!(bodies(&module), 6);
    assert_eq!(call(&module, "wide", 0).expect("add_two"), 14);
    assert_eq!(call(&module, "virtual", 1).expect("double"), 20);
}

#[test]
fn an_imported_function_can_stand_in() {
    // Only an imported function is in the table, and nobody calls its type.
    let module = slimmed(
        r#"(module
          (import "env" "far" (func $far (result i32)))
          (import "env" "gone" (func $gone (result i32)))
          (table 1 1 funcref)
          (elem (i32.const 0) $far)
          (func (export "unused") (result i32) (call_indirect (result i32) (i32.const 0)))
          (func (export "used") (param i32) (result i32) (local.get 0)))"#,
        &["used"],
    )
    .expect("slim");
    assert_eq!(imports(&module), ["far"]);
    assert_eq!(call(&module, "used", 3).expect("3"), 3);
}

#[test]
fn a_table_that_the_host_has_keeps_all() {
    let wat = INDIRECT.replace("(table 4", r#"(table (export "table") 4"#);
    let module = slimmed(&wat, &["table"]).expect("slim");
    assert_eq!(imports(&module), ["far"]);
    assert_eq!(bodies(&module), 4);
}

#[test]
fn references_and_the_start_function_are_followed() {
    let module = slimmed(
        r#"(module
          (global $place (mut i32) (i32.const 0))
          (global funcref (ref.func $referred))
          (table $t 2 2 funcref)
          (elem declare func $set_later)
          (elem $passive func $from_segment)
          (type $get (func (result i32)))
          (func $referred (type $get) (i32.const 1))
          (func $set_later (type $get) (i32.const 40))
          (func $from_segment (type $get) (i32.const 2))
          (func $begin
            (table.set $t (i32.const 0) (ref.func $set_later))
            (table.init $t $passive (i32.const 1) (i32.const 0) (i32.const 1)))
          (start $begin)
          (func (export "unused"))
          (func (export "used") (param i32) (result i32)
            (i32.add (call_indirect (type $get) (i32.const 0))
                     (call_indirect (type $get) (i32.const 1)))))"#,
        &["used"],
    )
    .expect("slim");
    assert_eq!(bodies(&module), 5);
    assert_eq!(call(&module, "used", 0).expect("42"), 42);
}
