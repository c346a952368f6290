// A prebuilt extension of JupyterLab 4 and Notebook 7, written by hand: the container that their loader expects
// of a federated module, around one link to the style sheet that lies beside this file, the care for the focus, and
// the care for live views whose record would not come.
(() => {
  'use strict';
  const sheet = new URL('vig.css', document.currentScript.src).href;

  function addStyle() {
    if ([...document.styleSheets].some(known => known.href === sheet)) {
      return;
    }
    const link = document.createElement('link');
    link.rel = 'stylesheet';
    link.href = sheet;
    document.head.append(link);
  }

  // At the end of a run the record takes the place of the view. Where the focus was in it, such as on Stop, it would
  // fall to the page, and no key would reach the notebook: it goes to the cell.
  function keepFocus(app) {
    const watched = new WeakSet();
    document.addEventListener('focusin', event => {
      const view = event.target.closest('.vig-view');
      const cell = view?.closest('.jp-Cell');
      if (!cell || watched.has(view)) {
        return;
      }
      watched.add(view);
      const watch = new MutationObserver(() => {
        if (view.isConnected) {
          return;
        }
        watch.disconnect();
        const notebook = app.shell.currentWidget?.content;
        const index = notebook?.widgets?.findIndex(widget => widget.node === cell) ?? -1;
        if (index >= 0 && document.activeElement === document.body) {
          notebook.activeCellIndex = index;
          app.commands.execute('notebook:enter-command-mode');
        }
      });
      watch.observe(cell, { childList: true, subtree: true });
    });
  }

  const VIEW = 'application/vnd.jupyter.widget-view+json';
  const ENDS = new Set(['restarting', 'autorestarting', 'terminating', 'dead']);

  // The live views of answers in a notebook: outputs that hold a view and say which run it shows.
  function liveViews(notebook) {
    const found = [];
    for (const cell of notebook.cells) {
      for (let at = 0; at < (cell.outputs?.length ?? 0); at++) {
        const { data, metadata } = cell.outputs.get(at);
        const run = metadata?.vig_notebook?.run;
        if (data?.[VIEW] && run) {
          found.push({ cell, at, run, view: data[VIEW].model_id, words: String(data['text/plain'] ?? '') });
        }
      }
    }
    return found;
  }

  function replace({ cell, at }, html, plain, metadata) {
    if (typeof html === 'string' && typeof plain === 'string') {
      const data = { 'text/html': html, 'text/plain': plain };
      cell.outputs.set(at, { output_type: 'display_data', data, metadata });
    }
  }

  // A page that was reloaded in mid-stream has forgotten the display id: there the record finds its view by name.
  function takeRecord(notebook, message) {
    const { data, metadata, transient } = message.content;
    if (message.header.msg_type === 'update_display_data' && transient?.vig_view) {
      liveViews(notebook)
        .filter(live => live.view === transient.vig_view)
        .forEach(live => replace(live, data['text/html'], data['text/plain'], metadata));
    }
  }

  // The Output widgets that a view has in the page: with what the kernel sent to each, whether it is in sight or not.
  function areasIn(widget) {
    const children = [...(widget?.children?.() ?? [])];
    return children.flatMap(child => (child.node.matches('.jp-OutputArea') ? [child] : areasIn(child)));
  }

  function htmlOf(area) {
    return area.model.toJSON().map(output => output.data?.['text/html'] ?? '').join('');
  }

  // What stands in the page of an answer: our own HTML, as the kernel sent it to each of the view's Output widgets.
  function shownOf(panel, { cell, at }) {
    const outputs = panel.content.widgets.find(widget => widget.model === cell)?.outputArea;
    const areas = areasIn(outputs?.widgets[at]);
    const joined = (areas, before, after) => (areas.length ? `${before}${areas.map(htmlOf).join('')}${after}\n` : '');
    const [thoughts, answer] = ['.vig-folded', '.vig-answer'].map(part => areas.filter(area => area.node.closest(part)));
    const rest = areas.filter(area => !thoughts.includes(area) && !answer.includes(area));
    return {
      parts: areas.length,
      html:
        joined(thoughts, '<div class="vig-reasoning"><div class="vig-note">Reasoning</div>', '</div>') +
        joined(answer, '<div class="vig-answer">', '</div>') +
        joined(rest, '', '')
    };
  }

  function textOf(html) {
    const spaced = html.replace(/<\/t[hd]>/g, ' ');
    return new DOMParser().parseFromString(spaced, 'text/html').body.textContent.trim();
  }

  // The kernel is gone and no record will come: what the page shows is kept, and the words say where the rest is.
  function keep(panel, live) {
    const { html } = shownOf(panel, live);
    const title = html ? 'The kernel ended before this answer did' : 'This answer was not saved';
    const place = document.createElement('div');
    place.innerHTML = '<div class="vig-card"><div class="vig-card-title"></div><div class="vig-card-line"></div></div>';
    const [head, line] = place.firstChild.children;
    [head.textContent, line.textContent] = [title, live.words];
    const plain = [textOf(html), `${title}. ${live.words}`].filter(Boolean).join('\n\n');
    replace(live, html + place.innerHTML, plain, { vig_notebook: { run: live.run, state: 'INTERRUPTED' } });
  }

  // Its answer ended while no page had the notebook open: the view becomes a record once all its parts are there.
  function settle(panel, live) {
    const view = panel.content.widgets.find(widget => widget.model === live.cell)?.outputArea?.widgets[live.at];
    const [, state, count] = /vig-(done|stopped|failed)-(\d+)/.exec(view?.node.querySelector('.vig-view')?.className) ?? [];
    const { html, parts } = state ? shownOf(panel, live) : {};
    if (state && parts >= Number(count)) {
      replace(live, html, textOf(html), { vig_notebook: { run: live.run, state: state.toUpperCase() } });
    }
  }

  function settleAll(panel, views) {
    const settleThose = () => {
      const left = liveViews(panel.context.model).filter(live => views.has(live.view));
      left.forEach(live => settle(panel, live));
      if (!left.length) {
        watch.disconnect();
      }
    };
    const watch = new MutationObserver(carefully(settleThose));
    watch.observe(panel.node, { childList: true, subtree: true, attributeFilter: ['class'] });
    settleThose();
  }

  // After a notebook was opened: which of its live views does the kernel know?
  async function look(panel, kernel) {
    const { model } = panel.context;
    const saved = model.getMetadata?.('widgets')?.['application/vnd.jupyter.widget-state+json']?.state ?? {};
    const views = new Set(liveViews(model).map(live => live.view).filter(view => !(view in saved)));
    if (!kernel || !views.size) {
      return;
    }
    const { content } = await kernel.requestCommInfo({ target_name: 'jupyter.widget' });
    if (content.status === 'ok' && !panel.isDisposed) {
      const lives = live => live.view in content.comms;
      const here = liveViews(model).filter(live => views.has(live.view));
      here.filter(live => !lives(live)).forEach(live => keep(panel, live));
      settleAll(panel, new Set(here.filter(lives).map(live => live.view)));
    }
  }

  // A notebook works on, whatever goes wrong here.
  function carefully(act) {
    return async (...given) => {
      try {
        await act(...given);
      } catch (error) {
        console.warn('vig_notebook:', error);
      }
    };
  }

  async function care(panel, context) {
    const session = context.sessionContext;
    const keepAll = carefully(() => liveViews(context.model).forEach(live => keep(panel, live)));
    session.iopubMessage.connect(carefully((_, message) => takeRecord(context.model, message)));
    session.statusChanged.connect((_, status) => ENDS.has(status) && keepAll());
    await Promise.all([context.ready, session.ready]);
    session.kernelChanged.connect((_, { oldValue, newValue }) => {
      if (oldValue && oldValue.id !== newValue?.id) {
        keepAll();
      }
    });
    await look(panel, session.session?.kernel);
  }

  const modules = {
    './style': () => {
      addStyle();
      return {};
    },
    './extension': () => ({
      __esModule: true,
      default: {
        id: 'vig-notebook:page',
        autoStart: true,
        activate: app => {
          addStyle();
          keepFocus(app);
          app.docRegistry.addWidgetExtension('Notebook', {
            createNew: (panel, context) => {
              carefully(care)(panel, context); // gives nothing back: Lab would dispose of it
            }
          });
        }
      }
    })
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB['vig-notebook'] = {
    init: () => undefined, // nothing is shared
    get: name =>
      modules[name]
        ? Promise.resolve(modules[name])
        : Promise.reject(new Error(`vig-notebook has no module ${name}`))
  };
})();
