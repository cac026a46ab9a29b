pub mod below;

pub use below::Deep as Exported;

pub struct Item;

mod hidden {}

fn in_a_macro() {
    println!("{}", crate::target::VALUE);
}
