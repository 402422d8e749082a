/**
 * The desktop app: its server keeps the settings and shows the dialogs of the system. It says at
 * the start, in the session storage, that it is there; everywhere else a browser does all this.
 */
interface Place {
  name: string;
  address: string;
}

const where = (): string | null => {
  try {
    return sessionStorage.getItem('facecctv.desktop');
  } catch {
    return null; // Storage is forbidden, so nobody can have written there.
  }
};

/** Whether the system's own dialogs open and save files. */
export const inWindow = () => where() === 'window';

/** The files that the user chooses in the system's dialog; none if the user cancels. */
export async function chooseFiles(): Promise<{ file: Blob; name: string }[]> {
  const places = (await (await asked('POST', '/desktop/open')).json()) as Place[];
  return Promise.all(
    places.map(async ({ name, address }) => ({
      file: await (await asked('GET', address)).blob(),
      name,
    })),
  );
}

/** Writes a file where the user wants it; nothing happens if the user cancels. */
export async function saveFile(file: Blob, name: string): Promise<void> {
  const proposed = new Blob([JSON.stringify({ name })], { type: 'application/json' });
  const place = (await (await asked('POST', '/desktop/save', proposed)).json()) as Place | null;
  if (place) await asked('PUT', place.address, file);
}

/** Remembers the settings for the next start, where the browser cannot. */
export async function keepSettings(text: string): Promise<void> {
  if (where()) await asked('PUT', '/desktop/settings', new Blob([text]));
}

async function asked(method: string, address: string, body?: Blob): Promise<Response> {
  const reply = await fetch(address, { method, body });
  if (!reply.ok) throw new Error(`${method} was answered with ${reply.status}`);
  return reply;
}
