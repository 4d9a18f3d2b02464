// Makes a component of a line of JavaScript, with the engine of Firefox in it:
// 12 MB, of which the benchmark of test/bench runs little and loads all.
//
//   node js.mjs OUT

import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const { component } = await componentize(`export const run = { run() { console.log('hello, world'); } };`, {
  witWorld: `package bench:hello;
world hello { export wasi:cli/run@0.2.3; }
package wasi:cli@0.2.3 { interface run { run: func() -> result; } }
`,
  disableFeatures: ['http', 'fetch-event'],
});
await writeFile(process.argv[2], component);
