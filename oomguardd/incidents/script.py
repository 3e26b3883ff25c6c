"""The only script of the page: what was read at the moment under the pointer. Without it nothing is missing,
the table has the same figures.

Rule of this file: the page's policy allows this text alone, by its hash: nothing that comes with an incident
can be run. After a change, the test that compares the two prints the new hash.
"""

from __future__ import annotations

SCRIPT = """"use strict";
(function () {
  var table = document.getElementById("readings");
  if (!table) return;
  var heads = Array.prototype.map.call(table.tHead.rows[0].cells, function (c) { return c.textContent; });
  var rows = Array.prototype.map.call(table.tBodies[0].rows, function (r) {
    return { t: parseFloat(r.getAttribute("data-t")), cells: r.cells };
  });
  function nearest(t) {
    return rows.reduce(function (a, b) { return Math.abs(b.t - t) < Math.abs(a.t - t) ? b : a; });
  }
  function attach(chart) {
    var from = parseFloat(chart.getAttribute("data-from")), to = parseFloat(chart.getAttribute("data-to"));
    var out = chart.querySelector(".readout"), lines = chart.querySelectorAll(".cursor");
    var plot = chart.querySelector(".panel .plot");
    function hide() {
      out.hidden = true;
      lines.forEach(function (line) { line.style.opacity = 0; });
    }
    function show(event) {
      var box = plot.getBoundingClientRect(), whole = chart.getBoundingClientRect();
      var part = (event.clientX - box.left) / box.width;
      if (part < 0 || part > 1) return hide();
      var row = nearest(from + part * (to - from));
      var at = (row.t - from) / (to - from);
      if (at < 0 || at > 1) return hide();
      out.textContent = heads.map(function (head, i) {
        return head + "  " + row.cells[i].textContent;
      }).join("\\n");
      out.hidden = false;
      var x = box.left - whole.left + at * box.width, width = out.offsetWidth;
      out.style.left = (x + 14 + width > whole.width ? Math.max(0, x - 14 - width) : x + 14) + "px";
      out.style.top = (plot.getBoundingClientRect().top - whole.top) + "px";
      lines.forEach(function (line) {
        line.setAttribute("x1", 100 * at + "%");
        line.setAttribute("x2", 100 * at + "%");
        line.style.opacity = 0.5;
      });
    }
    chart.addEventListener("pointermove", show);
    chart.addEventListener("pointerdown", show);
    chart.addEventListener("pointerleave", hide);
  }
  document.querySelectorAll(".chart").forEach(attach);
})();
"""

HASH = "sha256-j8iQbp1aC1gH0qmMnhwzWGd43835tA0yOD54q7hzw3M="
"""Of SCRIPT, as a content security policy names it."""
