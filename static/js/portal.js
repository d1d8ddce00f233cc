// The portal's few lines of script. Every page works without them.
"use strict";

(function () {
  // Whoever looks at another tab needs no fresh gauges.
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (document.hidden && event.target.hasAttribute("data-poll")) event.preventDefault();
  });

  // While somebody types or has chosen text inside a part that is about to be replaced, it stays as it is.
  document.addEventListener("htmx:beforeSwap", function (event) {
    var selection = document.getSelection();
    var isPoll = event.detail.elt && event.detail.elt.hasAttribute("data-poll");
    if (isPoll && selection && !selection.isCollapsed && selection.anchorNode && inMovingPart(selection.anchorNode)) {
      event.detail.shouldSwap = false;
    }
  });

  function inMovingPart(node) {
    var element = node.nodeType === 1 ? node : node.parentElement;
    return Boolean(element && element.closest("[data-poll], .gauge, #customer-calls"));
  }

  function revealCopyButtons(root) {
    root.querySelectorAll("button[data-copy]").forEach(function (button) {
      button.hidden = false;
      button.addEventListener("click", function () {
        var source = document.getElementById(button.dataset.copy);
        copy(source).then(function () {
          button.textContent = "Copied";
          setTimeout(function () { button.textContent = "Copy"; }, 2000);
        });
      });
    });
  }

  function copy(source) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(source.textContent);
    var range = document.createRange();
    range.selectNodeContents(source);
    var selection = document.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    document.execCommand("copy");
    return Promise.resolve();
  }

  // The provider's choice fills its base URL, unless somebody wrote another.
  function fillBaseUrl(select) {
    var urls = JSON.parse(select.dataset.baseUrls);
    var field = select.form.elements.base_url;
    var known = Object.values(urls);
    function fill() {
      if (field.value === "" || known.includes(field.value)) field.value = urls[select.value] || "";
      var other = select.form.elements.other_name;
      if (other) other.closest(".field").hidden = select.value in urls;
    }
    select.addEventListener("change", fill);
    fill();
  }

  // The day an anniversary month begins on matters to no other window.
  function followWindow(select) {
    var day = select.form.elements.anchor_day;
    if (!day) return;
    function follow() { day.closest(".field").hidden = select.value !== "anniversary"; }
    select.addEventListener("change", follow);
    follow();
  }

  function checkAll(box) {
    box.closest("label").hidden = false;
    box.addEventListener("change", function () {
      box.form.querySelectorAll('input[name="' + box.dataset.checkAll + '"]').forEach(function (each) {
        each.checked = box.checked;
      });
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    revealCopyButtons(document);
    document.querySelectorAll("select[data-base-urls]").forEach(fillBaseUrl);
    document.querySelectorAll('select[name="window"]').forEach(followWindow);
    document.querySelectorAll("input[data-check-all]").forEach(checkAll);
  });
})();
