// The keys of a rating: 1 2 0 s u and the arrows, wherever the focus is inside the rating.

const KEYS = new Set(['1', '2', '0', 's', 'u', 'ArrowLeft', 'ArrowRight']);

export default {
  render({ model, el }) {
    el.classList.add('vig-keys');
    el.textContent = 'Keys: 1 or 2 the better one · 0 tie · s skip · u undo · ← → look around';
    let root = null;
    const press = event => {
      if (!KEYS.has(event.key) || event.ctrlKey || event.metaKey || event.altKey) {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
      model.send({ kind: 'key', key: event.key });
    };
    const frame = requestAnimationFrame(() => {
      root = el.closest('.vig-rating') ?? el;
      root.tabIndex = -1;
      root.dataset.lmSuppressShortcuts = 'true'; // the keys are ours, not the notebook's
      root.addEventListener('keydown', press, true);
      root.focus({ preventScroll: true });
    });
    return () => {
      cancelAnimationFrame(frame);
      root?.removeEventListener('keydown', press, true);
    };
  },
};
