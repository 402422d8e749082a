// How long a visitor waits from choosing a picture to the first card, by the page's own clock:
// SERVER, PICTURE and VISITS (each with an empty cache) come from the environment. Prints a list of
// milliseconds. `python -m benchmarks.first_card` starts the server and calls this.
import { chromium } from 'playwright-core';

const { SERVER, PICTURE, VISITS = '5', CHROMIUM = '/usr/bin/chromium' } = process.env;

/** From the change of the hidden file input to the frame in which a card is there. */
function watch() {
    window.firstCard = new Promise((resolve) => {
        let began = 0;
        document.addEventListener('change', () => (began ||= performance.now()), true);
        new MutationObserver(() => {
            if (began && document.querySelector('[data-testid=card]'))
                requestAnimationFrame(() => resolve(performance.now() - began));
        }).observe(document, { childList: true, subtree: true });
    });
}

const browser = await chromium.launch({
    executablePath: CHROMIUM,
    chromiumSandbox: process.getuid?.() !== 0, // which root cannot have
    args: ['--disable-gpu', '--no-first-run', '--disable-background-networking'],
});
const waits = [];
for (let visit = 0; visit < Number(VISITS); visit++) {
    const context = await browser.newContext({ locale: 'en-GB' });
    context.setDefaultTimeout(120_000);
    const page = await context.newPage();
    await page.addInitScript(watch);
    await page.goto(`${SERVER}/#/`);
    await page.getByTestId('picker').setInputFiles(PICTURE);
    waits.push(await page.evaluate(() => window.firstCard));
    await context.close();
}
await browser.close();
console.log(JSON.stringify(waits));
