/*
 * What the pages gain when there is a script: a button that shows the password, ticks beside the password rules,
 * and buttons that copy a code or print. Without it every page works as it stands. Plain ES5, on purpose.
 */
(function () {
  "use strict";

  function each(selector, act) {
    var found = document.querySelectorAll(selector);
    for (var i = 0; i < found.length; i += 1) {
      act(found[i]);
    }
  }

  function button(className, text) {
    var made = document.createElement("button");
    made.type = "button";
    made.className = className;
    made.appendChild(document.createTextNode(text));
    return made;
  }

  function say(element, text) {
    element.firstChild.nodeValue = text;
  }

  /* <div class="secret" data-show="Show" data-show-name="Show the password" …><input type="password"></div> */
  each(".secret", function (box) {
    var input = box.querySelector("input");
    var toggle = button("secret-toggle", box.getAttribute("data-show"));

    function show(yes) {
      input.type = yes ? "text" : "password";
      say(toggle, box.getAttribute(yes ? "data-hide" : "data-show"));
      toggle.setAttribute("aria-label", box.getAttribute(yes ? "data-hide-name" : "data-show-name"));
    }

    toggle.setAttribute("aria-controls", input.id);
    toggle.addEventListener("click", function () {
      show(input.type === "password");
    });
    // Sent as a password again, so that no browser keeps it among its suggestions.
    if (input.form) {
      input.form.addEventListener("submit", function () {
        show(false);
      });
    }
    show(false);
    box.appendChild(toggle);
    box.className += " secret-on";
  });

  /* <ul class="rules" data-for="password" data-met="met"><li data-check="length:8">. The server decides; this only ticks. */
  var checks = {
    upper: /[A-Z]/,
    lower: /[a-z]/,
    digit: /[0-9]/,
    symbol: /[\^$*.[\]{}()?"!@#%&\/\\,><':;|_~`=+\-]|\S \S/
  };

  function holds(check, value) {
    if (check.indexOf("length:") === 0) {
      // A character outside the basic plane is two units and one character.
      return value.replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g, "_").length >= parseInt(check.slice(7), 10);
    }
    return checks[check] ? checks[check].test(value) : false;
  }

  each(".rules", function (list) {
    var input = document.getElementById(list.getAttribute("data-for"));
    if (!input) {
      return;
    }

    function tick(rule) {
      var check = rule.getAttribute("data-check");
      var word = rule.querySelector(".rule-state");
      var met = holds(check, input.value);
      rule.className = met
        ? "rule-met passwordCheck-valid-customizable"
        : "rule-open passwordCheck-notValid-customizable";
      if (!word) {
        word = document.createElement("span");
        word.className = "rule-state unseen";
        word.appendChild(document.createTextNode(""));
        rule.appendChild(word);
      }
      say(word, met ? " (" + list.getAttribute("data-met") + ")" : "");
    }

    function all() {
      var rules = list.querySelectorAll("[data-check]");
      for (var i = 0; i < rules.length; i += 1) {
        tick(rules[i]);
      }
    }

    input.addEventListener("input", all);
    all();
  });

  /* <code data-copy="Copy" data-copied="Copied" data-copy-name="Copy the code"> */
  each("[data-copy]", function (code) {
    var copy = button("button button-quiet", code.getAttribute("data-copy"));
    if (!navigator.clipboard) {
      return;
    }
    copy.setAttribute("aria-label", code.getAttribute("data-copy-name"));
    copy.addEventListener("click", function () {
      navigator.clipboard.writeText(code.innerText).then(function () {
        say(copy, code.getAttribute("data-copied"));
        copy.setAttribute("aria-label", code.getAttribute("data-copied"));
        setTimeout(function () {
          say(copy, code.getAttribute("data-copy"));
          copy.setAttribute("aria-label", code.getAttribute("data-copy-name"));
        }, 2000);
      });
    });
    code.parentNode.appendChild(copy);
  });

  /* Pressed twice, a button sends its form once. */
  each("form", function (form) {
    var sent = 0;
    form.addEventListener("submit", function (event) {
      if (Date.now() - sent < 2000) {
        event.preventDefault();
      } else {
        sent = Date.now();
      }
    });
  });

  /* <ol data-print="Print"> */
  each("[data-print]", function (list) {
    var print = button("button button-quiet", list.getAttribute("data-print"));
    print.addEventListener("click", function () {
      window.print();
    });
    list.parentNode.appendChild(print);
  });
})();
