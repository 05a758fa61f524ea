// Says beside the form or button that htmx asked for when the answer was an error, or when there was none.
"use strict";

const failed = document.querySelector("meta[name=htmx-failed]").content;
const note = document.createElement("p");
note.className = "message message-error";
note.setAttribute("role", "alert");

const show = (event, text) => {
  note.textContent = text;
  event.detail.elt.before(note);
};

// The site's error pages say in their paragraphs what is wrong.
document.addEventListener("htmx:responseError", (event) => {
  const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  const texts = [...page.querySelectorAll("main p:not(.actions)")].map((each) => each.textContent.trim());
  show(event, texts.filter(Boolean).join(" ") || failed);
});
document.addEventListener("htmx:sendError", (event) => show(event, failed));
document.addEventListener("htmx:timeout", (event) => show(event, failed));
document.addEventListener("htmx:beforeRequest", () => note.remove());
