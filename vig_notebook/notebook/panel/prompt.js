// The prompt box: a text area that grows, Send, Stop and Preview, and a live region that says what happens.
// Text goes to the kernel with the message that sends it, never letter by letter: a kernel that awaits in a cell
// does not take the letters (ipykernel 7.4.0), and the message arrives all the same.
// It also does what only a page can: put a text on the clipboard, make cells, keep the record of a page that was
// loaded again, follow the end of the conversation.

const ACTIVE_MS = 10000; // whoever clicked in this page did it at most so long ago, when the kernel answers
const FOLLOW_PX = 60; // so near to its end, the conversation is kept at its end
const ACTED_MS = 2000; // so long after it, a scroll up is the reader's: with momentum, or the bar held
const ACTS = ['wheel', 'touchmove', 'pointerdown', 'keydown', 'focusin'];
const FOLDS = '.vig-fold > .widget-toggle-button';
const ATTACH_MS = 100;
const DRAFT_MS = 1000; // the draft is kept in the kernel for a page that is loaded again

export default () => {
  let touched = 0; // when a person last did something in a view of this model in this page
  let pending = false; // sent, and the kernel has not answered yet
  let latest = null; // the view that was last used
  const views = new Set();

  const update = () => views.forEach(view => view.update());

  function initialize({ model }) {
    const receive = message => {
      const mine = Date.now() - touched < ACTIVE_MS;
      if (message.kind === 'text') {
        model.set('value', message.text);
      } else if (message.kind === 'ready') {
        pending = false;
        update();
      } else if (message.kind === 'focus' && mine) {
        latest?.focus();
      } else if (message.kind === 'copy' && mine) {
        copy(message.text).then(done => model.send({ kind: 'copied', done }));
      } else if (message.kind === 'cells' && mine) {
        const cells = new Set([...views].map(view => view.cell()).sort(byPlace));
        model.send({ kind: 'inserted', done: insertCells(model, message.sources, [...cells], latest?.cell()) });
      } else if (message.kind === 'record') {
        keepRecord(model, message);
      }
    };
    model.on('msg:custom', receive);
    model.send({ kind: 'loaded' });
    return () => model.off('msg:custom', receive);
  }

  function render({ model, el }) {
    const area = element('textarea', { rows: 2, 'aria-label': 'Prompt', placeholder: 'Ask…  (Ctrl+Enter sends)' });
    area.dataset.lmSuppressShortcuts = 'true'; // Esc and the arrows are ours, not the notebook's
    const send = element('button', { class: 'jupyter-button mod-primary vig-send', type: 'button' });
    const stop = element('button', { class: 'jupyter-button vig-stop', type: 'button' }, 'Stop');
    const preview = element('button', { class: 'jupyter-button', type: 'button' }, 'Preview');
    send.title = 'Send (Ctrl+Enter)';
    stop.title = 'Stop the answer; what has come is kept (Esc)';
    preview.title = 'Show the exact request; nothing is sent';
    const buttons = element('div', { class: 'vig-prompt-buttons' });
    buttons.append(send, stop, preview);
    const live = element('div', { class: 'vig-visually-hidden', role: 'status', 'aria-live': 'polite' });
    el.classList.add('vig-prompt');
    el.append(area, buttons, live);

    const busy = () => pending || model.get('busy');
    const grow = () => {
      area.style.height = 'auto';
      area.style.height = `${Math.min(area.scrollHeight + 2, 300)}px`;
    };
    const view = {
      focus: () => area.focus(),
      cell: () => el.closest('.jp-Cell'),
      update() {
        if (area.value !== model.get('value')) {
          area.value = model.get('value');
          grow();
        }
        send.textContent = busy() ? 'Generating…' : 'Send';
        send.disabled = busy();
        stop.disabled = !busy();
        if (live.textContent !== model.get('announcement')) {
          live.textContent = model.get('announcement');
        }
      }
    };
    const touch = () => {
      touched = Date.now();
      latest = view;
    };
    let timer = 0;
    const submit = kind => {
      if ((kind === 'send' && busy()) || el.closest('.jupyter-widgets-disconnected')) {
        return; // the kernel that made the panel has ended: nothing would ever answer
      }
      clearTimeout(timer); // a draft that came to the kernel after the text was sent would come back into the box
      touch();
      area.focus();
      el.scrollIntoView({ block: 'nearest' });
      if (kind === 'send') {
        following.toEnd();
      }
      pending = pending || kind === 'send';
      model.set('value', area.value);
      model.send({ kind, text: area.value });
      update();
    };
    const typed = () => {
      grow();
      touch();
      model.set('value', area.value);
      clearTimeout(timer);
      timer = setTimeout(() => model.save_changes(), DRAFT_MS);
    };
    const keys = event => {
      const alone = !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey;
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
        submit('send');
      } else if (event.key === 'Escape' && busy()) {
        submit('stop');
      } else if (event.key === 'ArrowUp' && alone && area.value === '' && model.get('last')) {
        area.value = model.get('last');
        typed();
      } else {
        event.stopPropagation();
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    };
    area.addEventListener('input', typed);
    area.addEventListener('keydown', keys);
    send.addEventListener('click', () => submit('send'));
    stop.addEventListener('click', () => submit('stop'));
    preview.addEventListener('click', () => submit('preview'));
    const settle = () => {
      pending = false;
      update();
    };
    model.on('change:busy', settle);
    model.on('change:value', view.update);
    model.on('change:announcement', view.update);
    views.add(view);
    latest = latest ?? view;
    view.update();
    const following = follow(el, touch, grow);
    return () => {
      clearTimeout(timer);
      following.end();
      views.delete(view);
      latest = latest === view ? null : latest;
      model.off('change:busy', settle);
      model.off('change:value', view.update);
      model.off('change:announcement', view.update);
    };
  }

  return { initialize, render };
};

function element(tag, attributes = {}, text = '') {
  const made = document.createElement(tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  made.textContent = text;
  return made;
}

/**
 * Keep the end of the conversation in view while it grows, unless the reader has scrolled away; and the prompt box
 * in the window while it has the focus and was in the window, whatever grows above it.
 */
function follow(el, touch, grow) {
  let panel = null;
  let conversation = null;
  let near = true;
  let top = 0;
  let height = 0;
  let acted = 0; // when the reader last did something there that may scroll
  const act = () => (acted = Date.now());
  const measure = () => ({ scrollTop: top, scrollHeight: height } = conversation);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = conversation;
    // The end as it was when the reader scrolled to it: a fast answer has grown by now.
    if (Math.min(scrollHeight, height) - scrollTop - clientHeight < FOLLOW_PX) {
      near = true;
    } else if (scrollTop < top && Date.now() - acted < ACTED_MS) {
      near = false; // and not where a text that was painted anew was short for a moment
    }
    measure();
  };
  const grown = new ResizeObserver(() => {
    if (near) {
      conversation.scrollTop = conversation.scrollHeight;
    }
    measure();
  });
  let inWindow = false;
  const seen = new IntersectionObserver(entries => (inWindow = entries.at(-1).isIntersecting), { threshold: 0.9 });
  seen.observe(el.querySelector('textarea'));
  const moved = new ResizeObserver(() => {
    if (inWindow && el.contains(document.activeElement)) {
      el.scrollIntoView({ block: 'nearest' });
    }
  });
  const opened = new MutationObserver(changes => changes.forEach(change => sayOpen(change.target)));
  const entered = event => sayOpen(event.target);
  const inner = new MutationObserver(() => [...conversation.children].forEach(child => grown.observe(child)));
  let soon = 0;
  const attach = () => {
    panel = el.closest('.vig-panel');
    conversation = panel?.querySelector('.vig-conversation') ?? null;
    if (conversation === null) {
      soon = setTimeout(attach, ATTACH_MS); // the panel's other parts are put around it after it was made
      return;
    }
    panel.addEventListener('pointerdown', touch, true);
    panel.addEventListener('keydown', touch, true);
    panel.addEventListener('focusin', entered);
    opened.observe(panel, { subtree: true, attributeFilter: ['class'] });
    panel.querySelectorAll(FOLDS).forEach(sayOpen);
    conversation.tabIndex = 0;
    conversation.setAttribute('role', 'region');
    conversation.setAttribute('aria-label', 'Conversation');
    conversation.addEventListener('scroll', scrolled, { passive: true });
    ACTS.forEach(kind => conversation.addEventListener(kind, act, { passive: true }));
    inner.observe(conversation, { childList: true });
    [...conversation.children].forEach(child => grown.observe(child));
    conversation.scrollTop = conversation.scrollHeight;
    measure();
    moved.observe(panel);
    grow();
  };
  soon = setTimeout(attach, ATTACH_MS);
  const toEnd = () => {
    near = true;
    conversation?.scrollTo({ top: conversation.scrollHeight });
  };
  const end = () => {
    clearTimeout(soon);
    [inner, opened, grown, moved, seen].forEach(observer => observer.disconnect());
    panel?.removeEventListener('pointerdown', touch, true);
    panel?.removeEventListener('keydown', touch, true);
    panel?.removeEventListener('focusin', entered);
    conversation?.removeEventListener('scroll', scrolled);
    ACTS.forEach(kind => conversation?.removeEventListener(kind, act));
  };
  return { toEnd, end };
}

/** A toggle button of ipywidgets shows by its class alone that it is on: say it to a screen reader too. */
function sayOpen(button) {
  if (button.matches(FOLDS)) {
    button.setAttribute('aria-expanded', String(button.classList.contains('mod-active')));
  }
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // the page is not served over https, or the click was too long ago
  }
}

/** The model of the notebook, where the front end gives it (JupyterLab, Notebook 7). */
function notebookOf(model) {
  return model.widget_manager?.context?.model ?? null;
}

/** The cells that show the panel, with the place of its view among their outputs. */
function* places(model) {
  const notebook = notebookOf(model);
  for (let at = 0; at < (notebook?.cells?.length ?? 0); at++) {
    const outputs = notebook.cells.get(at).outputs;
    for (let i = 0; i < (outputs?.length ?? 0); i++) {
      const shown = outputs.get(i).data['application/vnd.jupyter.widget-view+json'];
      if (shown?.model_id === model.get('panel')) {
        yield { at, outputs, view: i };
      }
    }
  }
}

const byPlace = (one, other) => (one?.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1);

/** Make cells below the one of the view that was used: `cells` are the elements of those that show the panel. */
function insertCells(model, sources, cells, used) {
  const found = [...places(model)];
  if (found.length === 0) {
    return false;
  }
  const { at } = found[found.length === cells.length ? Math.max(0, cells.indexOf(used)) : 0];
  sources.forEach((source, i) =>
    notebookOf(model).sharedModel.insertCell(at + 1 + i, { cell_type: 'code', source, metadata: { trusted: true } })
  );
  return true;
}

/** A page that was loaded again no longer knows the display ids of the record: write it into the notebook. */
function keepRecord(model, { page, data, metadata }) {
  for (const { outputs, view } of places(model)) {
    const output = { output_type: 'display_data', data, metadata };
    let i = view + 1;
    while (i < outputs.length && outputs.get(i).metadata?.vig_notebook?.page !== page) {
      i++;
    }
    if (i < outputs.length) {
      outputs.set(i, output);
    } else {
      outputs.add(output);
    }
  }
}
