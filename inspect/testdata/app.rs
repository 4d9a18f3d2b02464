#![feature(no_core, lang_items)]
#![no_core]
#![crate_type = "lib"]
#[lang = "pointee_sized"] pub trait PointeeSized {}
#[lang = "meta_sized"] pub trait MetaSized: PointeeSized {}
#[lang = "sized"] pub trait Sized: MetaSized {}
#[lang = "copy"] pub trait Copy {}
impl Copy for i32 {}
#[link(wasm_import_module = "$root")]
extern "C" { fn log(p: i32, n: i32); }
#[export_name = "cabi_realloc"] pub unsafe extern "C" fn r(_a: i32, _b: i32, _c: i32, _d: i32) -> i32 { 1024 }
#[export_name = "demo:app/greet@1.2.3#hello"] pub unsafe extern "C" fn h(_a: i32, _b: i32, _c: i32) -> i32 { log(0, 0); 64 }
#[export_name = "ping"] pub unsafe extern "C" fn p(_a: i32, _b: i32) -> i32 { 64 }
