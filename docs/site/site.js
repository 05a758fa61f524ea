// What the theme makes after it has loaded, for keyboards and screen readers: bars with the copy button get a name each,
// and tables that are wider than the page can be scrolled by keyboard.
const complete = () => {
  document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((bar) => {
    const all = [...document.querySelectorAll("pre")];
    bar.setAttribute("aria-label", `Code ${all.indexOf(bar.closest("pre")) + 1}`);
  });
  document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((wrap) => {
    if (wrap.scrollWidth > wrap.clientWidth) wrap.tabIndex = 0;
  });
};
new MutationObserver(complete).observe(document.body, { childList: true, subtree: true });
complete();
