import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { pretendServer } from './dev/server.ts';

const real = process.env.BRAKIT_URL;

export default defineConfig(({ mode }) => ({
  base: '/__brakit/',
  // With BRAKIT_URL=http://127.0.0.1:<port> the development server shows a running server's data instead of invented data.
  plugins: [svelte(), ...(real || mode === 'test' ? [] : [pretendServer()])],
  server: {
    host: '127.0.0.1',
    proxy: real ? { '/__brakit/api': { target: real, changeOrigin: true } } : undefined,
  },
  build: {
    outDir: '../server/src/brakit_server/web',
    emptyOutDir: true,
    // The page's policy allows neither data: fonts nor inline scripts: everything is a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
  },
  resolve: mode === 'test' ? { conditions: ['browser'] } : undefined,
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts', 'dev/**/*.test.ts', 'tests/**/*.test.ts'] },
}));
