// The least program that runs a guest on wasmtime: no process can start one
// sooner with this engine. It compiles WebAssembly too, as a runtime does that
// compiles when it starts.
//
//   bare module|component jit|load FILE [ARGUMENT...]

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi.h>
#include <wasm.h>
#include <wasmtime.h>

static void fail(const char *what, wasmtime_error_t *error, wasm_trap_t *trap) {
  int status;
  if (error && wasmtime_error_exit_status(error, &status)) exit(status);
  wasm_byte_vec_t text = {0, NULL};
  if (error) wasmtime_error_message(error, &text);
  else if (trap) wasm_trap_message(trap, &text);
  fprintf(stderr, "bare: %s: %.*s\n", what, (int)text.size, text.data);
  exit(1);
}

static void check(const char *what, wasmtime_error_t *error) {
  if (error) fail(what, error, NULL);
}

static wasm_byte_vec_t bytes_of(const char *file) {
  wasm_byte_vec_t v;
  FILE *f = fopen(file, "rb");
  long size = -1;
  if (f && fseek(f, 0, SEEK_END) == 0) size = ftell(f);
  if (size < 0 || fseek(f, 0, SEEK_SET) != 0) {
    perror(file);
    exit(1);
  }
  wasm_byte_vec_new_uninitialized(&v, (size_t)size);
  if (fread(v.data, 1, v.size, f) != v.size) fail(file, NULL, NULL);
  fclose(f);
  return v;
}

static void run_module(wasm_engine_t *engine, wasmtime_context_t *context, bool jit, const char *file) {
  wasmtime_module_t *module;
  if (jit) {
    wasm_byte_vec_t wasm = bytes_of(file);
    check(file, wasmtime_module_new(engine, (const uint8_t *)wasm.data, wasm.size, &module));
  } else {
    check(file, wasmtime_module_deserialize_file(engine, file, &module));
  }
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  check("WASI", wasmtime_linker_define_wasi(linker));
  wasm_trap_t *trap = NULL;
  wasmtime_instance_t instance;
  wasmtime_error_t *error = wasmtime_linker_instantiate(linker, context, module, &instance, &trap);
  wasmtime_extern_t start;
  if (error || trap) fail("instantiate", error, trap);
  if (!wasmtime_instance_export_get(context, &instance, "_start", 6, &start)) fail("no _start", NULL, NULL);
  error = wasmtime_func_call(context, &start.of.func, NULL, 0, NULL, 0, &trap);
  if (error || trap) fail("_start", error, trap);
}

static void run_component(wasm_engine_t *engine, wasmtime_context_t *context, bool jit, const char *file) {
  wasmtime_component_t *component;
  if (jit) {
    wasm_byte_vec_t wasm = bytes_of(file);
    check(file, wasmtime_component_new(engine, (const uint8_t *)wasm.data, wasm.size, &component));
  } else {
    check(file, wasmtime_component_deserialize_file(engine, file, &component));
  }
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  check("WASI", wasmtime_component_linker_add_wasip2(linker));
  wasmtime_component_instance_t instance;
  check("instantiate", wasmtime_component_linker_instantiate(linker, context, component, &instance));
  wasmtime_component_export_index_t *of = NULL, *run;
  for (int patch = 0; patch < 20 && !of; patch++) {
    char name[40];
    snprintf(name, sizeof name, "wasi:cli/run@0.2.%d", patch);
    of = wasmtime_component_get_export_index(component, NULL, name, strlen(name));
  }
  wasmtime_component_func_t func;
  run = wasmtime_component_get_export_index(component, of, "run", 3);
  if (!of || !run || !wasmtime_component_instance_get_func(&instance, context, run, &func)) fail("no wasi:cli/run", NULL, NULL);
  wasmtime_component_val_t result = {0};
  check("run", wasmtime_component_func_call(&func, context, NULL, 0, &result, 1));
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: bare module|component jit|load FILE [ARGUMENT...]\n");
    return 2;
  }
  bool jit = strcmp(argv[2], "jit") == 0;
  // Rust would look through the stack for every error, and the exit of a guest is one.
  unsetenv("RUST_BACKTRACE");
  unsetenv("RUST_LIB_BACKTRACE");
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_epoch_interruption_set(config, true); // as in aot.Profile: code is loaded with what it was compiled with
  wasm_engine_t *engine = wasm_engine_new_with_config(config);
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_context_set_epoch_deadline(context, 1);
  wasi_config_t *wasi = wasi_config_new();
  wasi_config_set_argv(wasi, argc - 3, (const char **)argv + 3);
  wasi_config_inherit_stdin(wasi);
  wasi_config_inherit_stdout(wasi);
  wasi_config_inherit_stderr(wasi);
  check("WASI", wasmtime_context_set_wasi(context, wasi));
  if (strcmp(argv[1], "component") == 0) run_component(engine, context, jit, argv[3]);
  else run_module(engine, context, jit, argv[3]);
  fflush(stdout);
  _Exit(0); // the system frees all of it
}
