// For keyboards and screen readers, complete what the theme creates: bars with the copy button get a name each, tables that are wider
// than the page can be scrolled by keyboard, and the hidden fields for light and dark are left out of the tab order.
const complete = () => {
  document.querySelectorAll(".md-option[aria-hidden]:not([tabindex])").forEach((field) => {
    field.tabIndex = -1;
  });
  document.querySelectorAll("pre").forEach((block, index) => {
    block.querySelector(".md-code__nav:not([aria-label])")?.setAttribute("aria-label", `Code ${index + 1}`);
  });
  // First read all widths, then change the page: in turns, the browser would lay the page out again for each table.
  [...document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")]
    .filter((wrap) => wrap.scrollWidth > wrap.clientWidth)
    .forEach((wrap) => {
      wrap.tabIndex = 0;
    });
};
// Once for all that the theme creates, when the browser has time. Safari has no requestIdleCallback.
const later = window.requestIdleCallback ?? ((call) => setTimeout(call, 100));
let planned = false;
const plan = () => {
  if (planned) return;
  planned = true;
  later(() => {
    planned = false;
    complete();
  }, { timeout: 300 });
};
new MutationObserver(plan).observe(document.body, { childList: true, subtree: true });
plan();
