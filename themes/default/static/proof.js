/*
 * A proof of work: finds a number whose SHA-256, together with a challenge, begins with so many zero bits.
 *
 * The page loads this file, which loads itself once more as a worker: the page stays responsive while that one counts.
 * SubtleCrypto is not used: a promise for each of a hundred thousand short hashes takes longer than the hash.
 */
(function () {
  "use strict";

  if (typeof document === "undefined") {
    self.onmessage = function (event) {
      solve(event.data.challenge, event.data.difficulty);
    };
  } else {
    show(document.getElementById("proof"), document.currentScript.src);
  }

  /* -- the page ------------------------------------------------------------------------------------------------ */

  function show(box, source) {
    var state = document.getElementById("proof-state");
    var progress = document.getElementById("proof-progress");
    var difficulty = parseInt(box.getAttribute("data-difficulty"), 10);
    var worker;

    function fail(why) {
      state.textContent = box.getAttribute("data-" + why);
      progress.hidden = true;
      document.getElementById("proof-again").hidden = false;
    }

    function send(number) {
      var body = "challenge=" + encodeURIComponent(box.getAttribute("data-challenge")) + "&number=" + number;
      fetch(box.getAttribute("data-answer-at"), {
        method: "POST",
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        body: body,
        credentials: "same-origin"
      }).then(
        function (response) {
          if (response.status !== 204) {
            fail("late");
            return;
          }
          state.textContent = box.getAttribute("data-done");
          progress.value = 100;
          // The page that was asked for has this page's own address.
          location.reload();
        },
        function () {
          fail("away");
        }
      );
    }

    box.hidden = false;
    if (!navigator.cookieEnabled || comesBackTooOften()) {
      fail("cookies");
      return;
    }
    try {
      worker = new Worker(source);
    } catch (refused) {
      fail("old");
      return;
    }
    worker.onerror = function () {
      fail("old");
    };
    worker.onmessage = function (event) {
      if (event.data.number !== undefined) {
        worker.terminate();
        send(event.data.number);
      } else {
        // How likely it was to have found one by now.
        progress.value = 100 * (1 - Math.exp(-event.data.tried / Math.pow(2, difficulty)));
      }
    };
    worker.postMessage({ challenge: box.getAttribute("data-challenge"), difficulty: difficulty });
  }

  /* Whoever keeps no cookie would otherwise calculate for ever. */
  function comesBackTooOften() {
    var now = Date.now();
    var times;
    try {
      times = JSON.parse(sessionStorage.getItem("cognate-proof") || "[]").filter(function (time) {
        return now - time < 60000;
      });
      sessionStorage.setItem("cognate-proof", JSON.stringify(times.concat(now)));
    } catch (unavailable) {
      return false;
    }
    return times.length >= 4;
  }

  /* -- the worker ---------------------------------------------------------------------------------------------- */

  var DIGITS = 16;

  function solve(challenge, difficulty) {
    var text = challenge + ".";
    var whole = text.length - (text.length % 64);
    var begun = initial();
    var state = new Int32Array(8);
    var rest = padded(text.slice(whole), text.length + DIGITS);
    var last = text.length - whole + DIGITS - 1;
    var tried = 0;
    var at;
    // What is the same in every try is hashed once.
    for (at = 0; at < whole; at += 64) {
      compress(begun, bytes(text.slice(at, at + 64)), 0);
    }
    for (;;) {
      state.set(begun);
      for (at = 0; at < rest.length; at += 64) {
        compress(state, rest, at);
      }
      if (zeroBits(state) >= difficulty) {
        self.postMessage({ number: String.fromCharCode.apply(null, rest.subarray(last - DIGITS + 1, last + 1)) });
        return;
      }
      // The number counts up in its digits.
      for (at = last; rest[at] === 57; at -= 1) {
        rest[at] = 48;
      }
      rest[at] += 1;
      tried += 1;
      if (tried % 8192 === 0) {
        self.postMessage({ tried: tried });
      }
    }
  }

  function zeroBits(state) {
    return state[0] === 0 ? 32 + Math.clz32(state[1]) : Math.clz32(state[0]);
  }

  /* -- SHA-256 (FIPS 180-4) of ASCII --------------------------------------------------------------------------- */

  var primes = new Int32Array(64);
  var schedule = new Int32Array(64);

  function bytes(text) {
    var found = new Uint8Array(text.length);
    for (var i = 0; i < text.length; i += 1) {
      found[i] = text.charCodeAt(i);
    }
    return found;
  }

  /* The end of a text, with 0 in all its digits and the padding behind them. */
  function padded(end, length) {
    var filled = new Uint8Array(64 * Math.ceil((end.length + DIGITS + 9) / 64));
    filled.set(bytes(end));
    for (var i = 0; i < DIGITS; i += 1) {
      filled[end.length + i] = 48;
    }
    filled[end.length + DIGITS] = 0x80;
    filled[filled.length - 2] = (length * 8) >> 8;
    filled[filled.length - 1] = (length * 8) & 255;
    return filled;
  }

  function initial() {
    var roots = new Int32Array(8);
    var found = 0;
    var candidate;
    for (candidate = 2; found < 64; candidate += 1) {
      if (isPrime(candidate)) {
        if (found < 8) {
          roots[found] = fraction(Math.pow(candidate, 1 / 2));
        }
        primes[found] = fraction(Math.pow(candidate, 1 / 3));
        found += 1;
      }
    }
    return roots;
  }

  function isPrime(candidate) {
    for (var divisor = 2; divisor * divisor <= candidate; divisor += 1) {
      if (candidate % divisor === 0) {
        return false;
      }
    }
    return true;
  }

  function fraction(root) {
    return ((root - Math.floor(root)) * 4294967296) | 0;
  }

  function compress(state, given, from) {
    var w = schedule;
    var k = primes;
    var a = state[0], b = state[1], c = state[2], d = state[3];
    var e = state[4], f = state[5], g = state[6], h = state[7];
    var i, s0, s1, one, two;
    for (i = 0; i < 64; i += 1) {
      if (i < 16) {
        w[i] = (given[from] << 24) | (given[from + 1] << 16) | (given[from + 2] << 8) | given[from + 3];
        from += 4;
      } else {
        one = w[i - 15];
        two = w[i - 2];
        s0 = ((one >>> 7) | (one << 25)) ^ ((one >>> 18) | (one << 14)) ^ (one >>> 3);
        s1 = ((two >>> 17) | (two << 15)) ^ ((two >>> 19) | (two << 13)) ^ (two >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
      }
      s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      one = (h + s1 + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
      s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
})();
