import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vitest/config';

// More for machines that are busy with other work.
const testTimeout = 1000 * Number(process.env.FACECCTV_TEST_SECONDS ?? 60);
const server = process.env.FACECCTV_SERVER ?? 'http://127.0.0.1:8000';

export default defineConfig({
  plugins: [svelte(), tailwindcss()],
  server: { proxy: { '/v1': server, '/healthz': server } },
  build: {
    outDir: '../src/facecctv/web',
    emptyOutDir: true,
    // A strict content security policy allows no data: fonts or scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // flowbite-svelte's files import their whole index for types alone; it has no side effects.
    rolldownOptions: {
      treeshake: {
        moduleSideEffects: [{ test: /flowbite-svelte\/dist\/.*(js|svelte)$/, sideEffects: false }],
      },
    },
    license: { fileName: 'licences.md' },
  },
  test: {
    projects: [
      { extends: true, test: { name: 'logic', include: ['tests/**/*.test.ts'] } },
      {
        test: {
          name: 'browser',
          include: ['browser/**/*.test.ts'],
          globalSetup: 'browser/server.ts',
          fileParallelism: false,
          testTimeout,
          hookTimeout: testTimeout,
        },
      },
    ],
  },
});
