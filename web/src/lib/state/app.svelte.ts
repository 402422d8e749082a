import { createContext } from 'svelte';
import { Client } from '../api/client';
import { catalogues, type Catalogue } from '../i18n';
import { Router } from './router.svelte';
import { Server } from './server.svelte';
import { SettingsStore, type Settings } from './settings.svelte';
import { Workspace } from './workspace.svelte';

/** All that the pages share; made once by App.svelte and handed down by context. */
export class AppState {
  readonly store = new SettingsStore();
  readonly router = new Router();
  /** Forgotten with the tab. */
  key = $state<string | null>(sessionStorage.getItem('facecctv.key'));
  readonly client = new Client(() => this.key);
  readonly server = new Server(this.client);
  readonly work = new Workspace(this.client, () => ({
    threshold: this.settings.threshold,
    minFace: this.settings.minFace,
  }));

  get settings(): Settings {
    return this.store.now;
  }

  /** The words of the chosen language. */
  get t(): Catalogue {
    return catalogues[this.settings.language];
  }

  useKey(key: string): void {
    this.key = key;
    sessionStorage.setItem('facecctv.key', key);
    void this.server.load();
  }

  /** Puts pictures to work and shows what comes of them. */
  examine(files: readonly { file: Blob; name: string }[]): void {
    this.work.add(files, 'examine');
    this.router.go('examine');
  }

  async examineDemo(scene: string): Promise<void> {
    const file = await this.client.blob(`/v1/demo/${scene}`);
    this.examine([{ file, name: `${scene}.jpg` }]);
  }
}

export const [useApp, provideApp] = createContext<AppState>();
