import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_SECONDS = 120;

declare module 'vitest' {
  export interface ProvidedContext {
    server: string;
  }
}

/** Starts the real server over the built web app; returns what ends it. */
export default async function setup(project: TestProject): Promise<() => void> {
  if (!existsSync(`${ROOT}/src/facecctv/web/index.html`))
    throw new Error('the web app is not built: make web');
  const python = process.env.FACECCTV_PYTHON ?? `${ROOT}/.venv/bin/python`;
  const port = await freePort();
  const process_ = spawn(python, ['-m', 'facecctv', 'serve', '--port', String(port)], {
    cwd: ROOT,
    env: { ...process.env, PYTHONPATH: `${ROOT}/src` },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  process_.stderr.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-4000)));
  const address = `http://127.0.0.1:${port}`;
  for (let second = 0; !(await answers(address)); second++) {
    if (process_.exitCode !== null || second > START_SECONDS)
      throw new Error(`the server did not start:\n${said}`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  project.provide('server', address);
  return () => void process_.kill();
}

async function answers(address: string): Promise<boolean> {
  // Refused connections are what is waited out here.
  return fetch(`${address}/healthz`).then(
    (reply) => reply.ok,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
