// For keyboards and screen readers, complete what the theme creates: bars with the copy button get a name each, tables that are wider
// than the page can be scrolled by keyboard, and the hidden fields for light and dark are left out of the tab order.
const complete = () => {
  document.querySelectorAll(".md-option[aria-hidden]:not([tabindex])").forEach((field) => {
    field.tabIndex = -1;
  });
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
