// Search without a server: browsers start no worker from a file, so there a hidden frame does the same work.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      const inside = (this.inside = frame.contentWindow);
      const answer = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.answer = (data) => setTimeout(answer, 0, data);
      inside.document.open();
      inside.document.write(`<script>postMessage = answer</script><script src="${url}"></script>`);
      inside.document.close();
      this.ready = new Promise((done) => inside.addEventListener("load", done));
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
