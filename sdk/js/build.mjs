// Builds into the folder that is named: an ES module, a script for a plain <script> tag (`sealagent.SealAgent`), and the types.
// node build.mjs FOLDER
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2];
if (!folder) throw new Error('usage: node build.mjs FOLDER');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
// Chromium 90 is what domestic browsers are made of.
const options = { absWorkingDir: here, entryPoints: ['src/index.ts'], bundle: true, target: ['chrome90', 'firefox102', 'safari15'], charset: 'utf8' };
await build({ ...options, format: 'esm', outfile: join(folder, 'sealagent.js') });
await build({ ...options, format: 'iife', globalName: 'sealagent', minify: true, outfile: join(folder, 'sealagent.script.js') });
const tsc = join(here, 'node_modules', 'typescript', 'bin', 'tsc');
execFileSync(process.execPath, [tsc, '--project', here, '--emitDeclarationOnly', '--outDir', join(folder, 'types')], { stdio: 'inherit' });
