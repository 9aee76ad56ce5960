// The sites of the tests, over https on one loopback port: the demo page, empty pages to call the client from, and frames. A browser
// is told that this port is public, since a page from a loopback address is never checked.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createServer as createPlainServer } from 'node:net';
import { join } from 'node:path';
import { test as nodeTest } from 'node:test';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const assets = join(root, 'src', 'demo', 'assets');
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css', json: 'application/json', ofd: 'application/ofd' };
const empty = '<!doctype html><meta charset="utf-8"><title>test</title>';

/** Chromium as root, with nothing of its own on the network. */
export const QUIET = [
  '--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run', '--disable-quic',
];

/** A test that ends: a browser that hangs must not hold up everything behind it. */
export const test = (name, ...rest) => nodeTest(name, { timeout: 240_000, ...(rest.length > 1 ? rest[0] : {}) }, rest.at(-1));

/** Asks the program that started this one for something (`unplug`, `plug`, `stop`), and waits until it is done. */
export async function ask(folder, what) {
  writeFileSync(join(folder, what), '');
  while (existsSync(join(folder, what))) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** A port that takes connections and never says a word. */
async function silent() {
  const sockets = new Set();
  const server = createPlainServer((socket) => sockets.add(socket.on('error', () => {})));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: server.address().port, close: () => { server.close(); for (const socket of sockets) socket.destroy(); } };
}

/**
 * Serves on `port`; the agent is on `agentPort`, nobody on `closedPort`, and on `silentPort` of the result somebody who never answers;
 * `sample` is a document's bytes.
 */
export async function serve({ port, agentPort, closedPort, folder, sample }) {
  const mute = await silent();
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test'];
  execFileSync('openssl', [...made, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const demo = { ports: [agentPort], sampleName: '合同.ofd', stamp: { kind: 'page', pages: [1], x: 100, y: 100 } };
  const files = {
    '/demo.json': JSON.stringify(demo),
    '/sample.ofd': sample,
    '/sealagent.js': readFileSync(join(root, 'sdk', 'js', 'dist', 'sealagent.js')),
    '/sealagent.script.js': readFileSync(join(root, 'sdk', 'js', 'dist', 'sealagent.script.js')),
    '/empty.html': empty,
    '/no-connect.html': empty,
    '/frame-without.html': `${empty}<iframe src="https://sign.example:${port}/empty.html"></iframe>`,
    '/frame-with.html': `${empty}<iframe allow="loopback-network; local-network-access" src="https://sign.example:${port}/empty.html"></iframe>`,
    '/frame-sandboxed.html': `${empty}<iframe sandbox="allow-scripts" allow="loopback-network *; local-network-access *" src="https://sign.example:${port}/empty.html"></iframe>`,
  };
  for (const name of ['index.html', 'style.css', 'app.js', 'seal.js', 'texts.json']) files[`/${name}`] = readFileSync(join(assets, name));
  files['/place.js'] = readFileSync(join(root, 'src', 'http', 'pages', 'assets', 'place.js'));
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, answer) => {
    const path = request.url === '/' ? '/index.html' : request.url.split('?')[0];
    const agent = path === '/no-connect.html' ? '' : ` http://127.0.0.1:${agentPort} ws://127.0.0.1:${agentPort} http://127.0.0.1:${closedPort} http://127.0.0.1:${mute.port}`;
    answer.setHeader('Content-Security-Policy', `default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; frame-src https:; connect-src 'self'${agent}`);
    answer.setHeader('Content-Type', TYPES[path.split('.').pop()] ?? 'text/plain');
    // A sandboxed frame has the origin null, from which even its own site's modules are foreign.
    answer.setHeader('Access-Control-Allow-Origin', '*');
    answer.statusCode = path in files ? 200 : 404;
    answer.end(files[path] ?? '');
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return {
    silentPort: mute.port,
    close() {
      mute.close();
      server.closeAllConnections();
      server.close();
    },
  };
}
