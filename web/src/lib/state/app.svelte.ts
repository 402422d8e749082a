import { createContext } from 'svelte';
import { Client, type Query } from '../api/client';
import { catalogues, type Catalogue } from '../i18n';
import { Checking } from './checking.svelte';
import { Comparing } from './comparing.svelte';
import { Enhancing } from './enhancing.svelte';
import { Filming } from './filming.svelte';
import { Live } from './live.svelte';
import { Router } from './router.svelte';
import { Server } from './server.svelte';
import { SettingsStore, type Settings } from './settings.svelte';
import { Watching } from './watching.svelte';
import { Workspace, type Task } from './workspace.svelte';

/** Faces lower than so many pixels are enhanced, as on the command line. */
const SMALL = 160;

/** All that the pages share; made once by App.svelte and handed down by context. */
export class AppState {
  readonly store = new SettingsStore();
  readonly router = new Router();
  /** Forgotten with the tab. */
  key = $state<string | null>(sessionStorage.getItem('facecctv.key'));
  readonly client = new Client(() => this.key);
  readonly server = new Server(this.client);
  readonly work = new Workspace(this.client, (task) => ({
    ...this.#options(task),
    bodies: this.server.findsBodies && this.settings.findBodies,
  }));
  readonly enhancing = new Enhancing(this.client, this.server);
  readonly checking = new Checking(this.client);
  readonly comparing = new Comparing(this.client, () => this.#options('detect'));
  readonly filming = new Filming(this.client, this.server, () => ({
    ...this.#options('detect'),
    enhance:
      this.settings.enhanceFaces && this.server.scales.length
        ? `x${this.server.scales.at(-1)}`
        : null,
  }));
  readonly live = new Live(this.client);
  readonly watching = new Watching(this.client, () => this.#options('detect'));

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

  /** Shows the Enhance page with this picture. */
  enhance(file: Blob, name: string): void {
    void this.enhancing.take(file, name);
    this.router.go('enhance');
  }

  #options(task: Task): Query {
    const { threshold, minFace, enhanceFaces, colouriseFaces, estimateFaces } = this.settings;
    const looking = { threshold, min_face: minFace };
    if (task !== 'examine') return looking;
    const scale = this.server.scales.at(-1);
    const enhance = scale && enhanceFaces ? `x${scale}` : null;
    return {
      ...looking,
      enhance,
      enhance_below: enhance && SMALL,
      changes: enhance !== null,
      colourise: this.server.can('colourise') && colouriseFaces ? 'auto' : null,
      attributes: this.server.can('attributes') && estimateFaces ? true : null,
    };
  }

  async examineDemo(scene: string): Promise<void> {
    const file = await this.client.blob(`/v1/demo/${scene}`);
    this.examine([{ file, name: `${scene}.jpg` }]);
  }
}

export const [useApp, provideApp] = createContext<AppState>();
