// A prebuilt extension of JupyterLab 4 and Notebook 7, written by hand: the container that their loader expects
// of a federated module, around one link to the style sheet that lies beside this file, and the care for the focus.
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
