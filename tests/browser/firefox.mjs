// Debian's Firefox over WebDriver BiDi: it brings its own server for that, so no driver program is needed.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import WebSocket from 'ws';

/** Starts it with a profile of its own in `folder`. */
export async function launch({ executablePath, folder, preferences }) {
  mkdirSync(folder);
  const lines = Object.entries(preferences).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
  writeFileSync(join(folder, 'user.js'), lines.join(''));
  const started = ['--headless', '--no-remote', '--profile', folder, '--remote-debugging-port', '0'];
  const child = spawn(executablePath, started, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: folder } });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  process.once('exit', () => child.kill());
  const address = await new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
      const found = said.match(/WebDriver BiDi listening on (ws:\S+)/);
      if (found) resolve(found[1]);
    });
    child.once('exit', () => reject(new Error(`firefox ended: ${said}`)));
  });
  const socket = new WebSocket(`${address}/session`);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const waiting = new Map();
  let last = 0;
  socket.on('message', (text) => {
    const answer = JSON.parse(text);
    const { resolve, reject } = waiting.get(answer.id) ?? {};
    waiting.delete(answer.id);
    if (answer.type === 'error') reject?.(new Error(`${answer.error}: ${answer.message}`));
    else resolve?.(answer.result);
  });
  const send = (method, params) => new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, { resolve, reject });
    socket.send(JSON.stringify({ id: last, method, params }));
  });
  await send('session.new', { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
  /** A page or a frame. */
  const frame = (context) => ({
    context,
    /** The value of an expression, awaited; by way of JSON. */
    async evaluate(expression) {
      const awaited = `Promise.resolve(${expression}).then((value) => JSON.stringify(value))`;
      const { result, exceptionDetails } = await send('script.evaluate', { expression: awaited, target: { context }, awaitPromise: true });
      if (exceptionDetails) throw new Error(exceptionDetails.text);
      return result.value === undefined ? undefined : JSON.parse(result.value);
    },
  });
  return {
    send,
    frame,
    /** `granted`, `denied` or `prompt` for the pages of an origin. */
    permit: (origin, state) => send('permissions.setPermission', { descriptor: { name: 'loopback-network' }, state, origin }),
    async open(url) {
      const { context } = await send('browsingContext.create', { type: 'tab' });
      await send('browsingContext.navigate', { context, url, wait: 'complete' });
      return { ...frame(context), close: () => send('browsingContext.close', { context }) };
    },
    async close() {
      await send('browser.close', {}).catch(() => {});
      socket.close();
      child.kill();
      await ended;
    },
  };
}
