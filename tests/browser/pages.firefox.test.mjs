// The agent's own pages in Firefox, as pages.chromium.test.mjs has it.
import { join } from 'node:path';
import { after, before } from 'node:test';
import { launch } from './firefox.mjs';
import { asksForALink, drawsPages, judgesFiles, revokesGrant, saysHowThingsAre, sealsInField, sealsOwnFile } from './pages.mjs';
import { test } from './site.mjs';

let browser;

before(async () => {
  browser = await launch({
    executablePath: process.env.BROWSER_TEST_PROGRAM,
    folder: join(process.env.BROWSER_TEST_FOLDER, 'firefox'),
    preferences: { 'datareporting.policy.dataSubmissionEnabled': false, 'app.update.enabled': false, 'intl.accept_languages': 'zh-CN' },
  });
});
after(() => browser?.close());

const open = (url) => browser.open(url);

test('good, changed and undetermined files are told apart, whatever they are called', async () => {
  const page = await judgesFiles(open);
  await drawsPages(page);
  await page.close();
});
test('a file of one\'s own is sealed by click and arrow key', async () => (await sealsOwnFile(open)).close());
test('a field of a PDF is chosen in the list and on the picture', async () => (await sealsInField(open)).close());
test('a pairing is taken back', async () => (await revokesGrant(open)).close());
test('without a link the pages of the person stay shut', async () => (await asksForALink(open)).close());
test('the diagnosis sees that all works', async () => (await saysHowThingsAre(open)).close());
