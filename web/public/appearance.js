// Runs before the first paint, so that a dark screen never flashes white.
(() => {
    const root = document.documentElement;
    let saved = {};
    try {
        saved = JSON.parse(localStorage.getItem('facecctv.settings') ?? '{}') ?? {};
    } catch {
        saved = {}; // Storage is switched off or holds something else: the defaults stand.
    }
    const dark =
        saved.theme === 'dark' ||
        (saved.theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
    root.classList.toggle('dark', dark);
    if (saved.accent) root.dataset.accent = saved.accent;
    if (saved.fontSize) root.style.fontSize = `${saved.fontSize}%`;
})();
