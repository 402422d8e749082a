import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_SECONDS = 120;

declare module 'vitest' {
  export interface ProvidedContext {
    /** With the models that ship. */
    server: string;
    /** With small models for everything that can be enhanced. */
    enhancing: string;
    /** With the models that ship, and a watch-list that clients may change. */
    listing: string;
  }
}

const PYTHON = process.env.FACECCTV_PYTHON ?? `${ROOT}/.venv/bin/python`;
const ENVIRONMENT = { ...process.env, PYTHONPATH: `${ROOT}/src` };

/** Starts the real server over the built web app, three times; returns what ends them all. */
export default async function setup(project: TestProject): Promise<() => void> {
  if (!existsSync(`${ROOT}/src/facecctv/web/index.html`))
    throw new Error('the web app is not built: make web');
  const models = mkdtempSync(`${tmpdir()}/facecctv-models-`);
  execFileSync(PYTHON, [`${ROOT}/web/browser/models.py`, models], { env: ENVIRONMENT });
  const [server, endServer] = await serving({});
  // Looked at by eye, the tests run over real models: those of this folder.
  const folder = process.env.ENHANCERS ?? models;
  const [enhancing, endEnhancing] = await serving({ FACECCTV_MODELS: folder });
  const list = `${models}/people.fwl`;
  const secret = { FACECCTV_PASSPHRASE: 'correct horse' };
  execFileSync(
    PYTHON,
    ['-m', 'facecctv', 'watchlist', 'create', list, '--purpose', 'theft', '--owner', 'J. Doe'],
    { cwd: ROOT, env: { ...ENVIRONMENT, ...secret } },
  );
  const [listing, endListing] = await serving(secret, ['--watchlist', list, '--enrol-days', '30']);
  project.provide('listing', listing);
  project.provide('server', server);
  project.provide('enhancing', enhancing);
  return () => {
    endServer();
    endEnhancing();
    endListing();
    rmSync(models, { recursive: true });
  };
}

async function serving(
  more: Record<string, string>,
  options: readonly string[] = [],
): Promise<[string, () => void]> {
  const port = await freePort();
  const process_ = spawn(PYTHON, ['-m', 'facecctv', 'serve', '--port', String(port), ...options], {
    cwd: ROOT,
    env: { ...ENVIRONMENT, ...more },
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
  return [address, () => void process_.kill()];
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
