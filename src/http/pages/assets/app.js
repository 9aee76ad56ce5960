// The shell: which page, in which language.
import { h, switchLanguage, language, t, translate } from './dom.js';
import { beginSession, noSession, told, whoItIs } from './agent.js';

/** Pages in the order of the menu; those that show what is the person's own need a session. */
const PAGES = { verify: false, sign: true, seals: true, settings: true, history: true, diagnose: false };

const name = location.pathname.split('/').pop() || 'verify';
const main = document.getElementById('main');
let page;

function draw() {
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
  document.title = `${t(`page.${name}`)} · sealagent`;
  translate(document.body);
  const links = Object.keys(PAGES).map((one) => h('a', { href: `/app/${one}`, 'aria-current': one === name && 'page' }, t(`page.${one}`)));
  const nav = document.getElementById('nav');
  nav.replaceChildren(...links);
  nav.setAttribute('aria-label', t('menu'));
  // On a narrow screen the menu is one line: what is open must be in sight.
  const current = nav.querySelector('[aria-current]');
  if (current) nav.scrollLeft = current.offsetLeft - nav.offsetLeft - (nav.clientWidth - current.clientWidth) / 2;
  page?.draw();
}

document.getElementById('language').addEventListener('click', () => {
  switchLanguage();
  draw();
});

draw();
await beginSession();
try {
  const { hasSession } = await whoItIs();
  if (PAGES[name] && !hasSession) page = { draw: () => main.replaceChildren(noSession()) };
  else page = (await import(`./${name}.js`)).show(main);
} catch (error) {
  // The diagnosis is for the time when nothing works.
  if (name === 'diagnose') page = (await import('./diagnose.js')).show(main);
  else page = { draw: () => main.replaceChildren(told(error)) };
}
draw();
main.dataset.ready = '';
