// Say on the page that a security key did not work. allauth's own script only writes to the console.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const message = document.getElementById("key-failed");
  document.querySelector("main").prepend(message);
  message.hidden = false;
});
