"use strict";
// Two ways to show one picture: by WebGL (sigma.js), and the still SVG that the page holds. Both take the same
// state: which nodes and edges are hidden or faded, how wide and in what colour an edge is.
const graphViews = (() => {
  const FLOAT = 5126, BYTE = 5121, TRIANGLES = 4; // WebGL's names

  const VERTEX = `
attribute vec4 a_id; attribute vec4 a_color; attribute vec2 a_position; attribute float a_size;
attribute float a_shape; attribute float a_angle;
uniform mat3 u_matrix; uniform float u_sizeRatio; uniform float u_correctionRatio;
varying vec4 v_color; varying vec2 v_away; varying float v_radius; varying float v_shape;
void main() {
  float radius = a_size * u_correctionRatio / u_sizeRatio * 2.0;
  vec2 away = radius * 2.8 * vec2(cos(a_angle), sin(a_angle));
  gl_Position = vec4((u_matrix * vec3(a_position + away, 1)).xy, 0, 1);
  v_away = away; v_radius = radius; v_shape = a_shape;
  #ifdef PICKING_MODE
  v_color = a_id;
  #else
  v_color = a_color;
  #endif
  v_color.a *= 255.0 / 254.0;
}`;
  // A circle, a square or a diamond of equal area; a ring inside where a node stands for several.
  const FRAGMENT = `
precision highp float;
varying vec4 v_color; varying vec2 v_away; varying float v_radius; varying float v_shape;
uniform float u_correctionRatio; uniform vec4 u_halo;
void main(void) {
  float pools = step(3.5, v_shape);
  float shape = v_shape - 4.0 * pools;
  vec2 far = abs(v_away);
  float edge = length(v_away) - v_radius;
  if (shape > 1.5) edge = (far.x + far.y) * 0.7071 - v_radius * 0.886;
  else if (shape > 0.5) edge = max(far.x, far.y) - v_radius * 0.886;
  float blur = u_correctionRatio * 2.0;
  #ifdef PICKING_MODE
  gl_FragColor = edge > 0.0 ? vec4(0.0) : v_color;
  #else
  vec4 color = v_color;
  float ring = abs(length(v_away) - v_radius * 0.62) - max(v_radius * 0.07, blur * 0.4);
  if (pools > 0.5) color = mix(u_halo, color, smoothstep(0.0, blur, ring));
  gl_FragColor = mix(color, vec4(0.0), clamp(edge / blur + 0.5, 0.0, 1.0));
  #endif
}`;

  const shapeOf = (kind) =>
    (kind.startsWith("product") ? 1 : kind.startsWith("customer") ? 2 : 0) + (kind.endsWith("s") ? 4 : 0);
  const parse = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

  const nodeProgram = (look) => {
    const { NodeProgram, floatColor } = sigmaBundle;
    return class extends NodeProgram {
      getDefinition() {
        return {
          VERTICES: 3, VERTEX_SHADER_SOURCE: VERTEX, FRAGMENT_SHADER_SOURCE: FRAGMENT, METHOD: TRIANGLES,
          UNIFORMS: ["u_sizeRatio", "u_correctionRatio", "u_matrix", "u_halo"],
          ATTRIBUTES: [
            { name: "a_position", size: 2, type: FLOAT }, { name: "a_size", size: 1, type: FLOAT },
            { name: "a_color", size: 4, type: BYTE, normalized: true },
            { name: "a_id", size: 4, type: BYTE, normalized: true }, { name: "a_shape", size: 1, type: FLOAT },
          ],
          CONSTANT_ATTRIBUTES: [{ name: "a_angle", size: 1, type: FLOAT }],
          CONSTANT_DATA: [[0], [2 * Math.PI / 3], [4 * Math.PI / 3]],
        };
      }
      processVisibleItem(index, start, data) {
        const values = [data.x, data.y, data.size, floatColor(data.color), index, data.shape];
        values.forEach((value, at) => { this.array[start + at] = value; });
      }
      setUniforms(params, { gl, uniformLocations }) {
        gl.uniform1f(uniformLocations.u_correctionRatio, params.correctionRatio);
        gl.uniform1f(uniformLocations.u_sizeRatio, params.sizeRatio);
        gl.uniformMatrix3fv(uniformLocations.u_matrix, false, params.matrix);
        if (uniformLocations.u_halo) {
          const [r, g, b] = parse(look().halo);
          gl.uniform4f(uniformLocations.u_halo, r / 255, g / 255, b / 255, 1);
        }
      }
    };
  };

  const byWebGL = (stage, data, look, state) => {
    const { MultiDirectedGraph, Sigma, EdgeRectangleProgram, createEdgeCurveProgram } = sigmaBundle;
    // A tall screen shows a wide picture turned: across becomes down.
    const turned = stage.clientHeight > stage.clientWidth * 1.15 && data.width > data.height * 1.15;
    const place = (node) => (turned ? { x: node.y, y: -node.x } : { x: node.x, y: -node.y });
    const graph = new MultiDirectedGraph();
    data.nodes.forEach((node, at) => {
      graph.addNode(String(at), { ...place(node), size: node.r, shape: shapeOf(node.k), at, type: "shape" });
    });
    const type = data.level === "categories" ? "curve" : "line";
    data.edges.forEach(([source, target], at) => {
      graph.addEdgeWithKey(String(at), String(source), String(target), { at, type });
    });
    const [width, height] = turned ? [data.height, data.width] : [data.width, data.height];
    const thinnest = 1.6 / Math.min(stage.clientWidth / width, stage.clientHeight / height); // in the picture's units
    const sigma = new Sigma(graph, stage, {
      nodeProgramClasses: { shape: nodeProgram(look) },
      nodeHoverProgramClasses: { shape: nodeProgram(look) },
      edgeProgramClasses: type === "line" ? { line: EdgeRectangleProgram } : {
        curve: createEdgeCurveProgram({
          arrowHead: { extremity: "target", lengthToThicknessRatio: 3, widenessToThicknessRatio: 2.6 },
          curvatureAttribute: "curvature", defaultCurvature: -0.36,
        }),
      },
      defaultEdgeType: type, defaultNodeType: "shape", renderLabels: false, zIndex: true, itemSizesReference: "positions",
      stagePadding: 4, minEdgeThickness: 1.5, minCameraRatio: 0.02, maxCameraRatio: 3, enableCameraRotation: false,
      defaultDrawNodeHover: () => {}, allowInvalidContainer: true,
      nodeReducer: (_, attributes) => {
        const found = state.node(attributes.at);
        return { ...attributes, hidden: found.hidden, color: found.color, zIndex: found.front ? 2 : 1,
          size: attributes.size * (found.lit ? 1.25 : 1) };
      },
      edgeReducer: (_, attributes) => {
        const found = state.edge(attributes.at);
        return { ...attributes, hidden: found.hidden, color: found.color, size: Math.max(found.width, thinnest), zIndex: found.front ? 2 : 0 };
      },
    });

    const labels = document.createElement("canvas");
    labels.className = "labels";
    labels.setAttribute("aria-hidden", "true");
    stage.append(labels);
    const order = data.nodes.map((_, at) => at).sort((one, other) =>
      (data.nodes[other].k === "category") - (data.nodes[one].k === "category") ||
      data.nodes[other].r - data.nodes[one].r || one - other);
    const where = (at) => {
      const shown = sigma.getNodeDisplayData(String(at));
      const { x, y } = sigma.framedGraphToViewport(shown);
      return { x, y, r: sigma.scaleSize(shown.size) };
    };
    const write = () => {
      const ratio = devicePixelRatio || 1, wide = stage.clientWidth, high = stage.clientHeight;
      labels.width = wide * ratio;
      labels.height = high * ratio;
      const pen = labels.getContext("2d"), { label, halo, ring } = look();
      pen.scale(ratio, ratio);
      pen.lineJoin = "round";
      const taken = order.filter((at) => data.nodes[at].k === "category" && !state.node(at).hidden).map((at) => {
        const { x, y, r } = where(at);
        return [x - r, y - r, x + r, y + r];
      });
      const queue = [...state.first(), ...order], done = new Set();
      for (const at of queue) {
        const node = data.nodes[at], found = state.node(at);
        if (done.has(at) || found.hidden || (found.faded && !found.lit)) continue;
        done.add(at);
        const { x, y, r } = where(at);
        if (x < -40 || y < -20 || x > wide + 40 || y > high + 20) continue;
        if (found.lit) {
          pen.strokeStyle = ring;
          pen.lineWidth = 2;
          pen.beginPath();
          pen.arc(x, y, r * (shapeOf(node.k) % 4 ? 1.3 : 1) + 2.5, 0, 7);
          pen.stroke();
        }
        if (!found.lit && node.k !== "category" && r < (node.k === "product" ? 7 : 9)) continue;
        const strong = node.k === "category" || found.lit;
        pen.font = `${strong ? 600 : 400} 12px system-ui, "Segoe UI", Roboto, Arial, sans-serif`;
        const long = pen.measureText(node.l).width;
        const spots = [[x - long / 2, y + r + 14], [x + r + 5, y + 4], [x - r - 5 - long, y + 4], [x - long / 2, y - r - 6]];
        const free = spots.find(([left, base]) => left > 2 && left + long < wide - 2 && base > 12 && base < high - 3 &&
          !taken.some((box) => left - 3 < box[2] && box[0] < left + long + 3 && base - 12 < box[3] && box[1] < base + 4));
        const spot = free || (found.lit ? spots[0] : null);
        if (!spot) continue;
        taken.push([spot[0], spot[1] - 12, spot[0] + long, spot[1] + 3]);
        pen.strokeStyle = halo;
        pen.lineWidth = 4;
        pen.strokeText(node.l, ...spot);
        pen.fillStyle = label;
        pen.fillText(node.l, ...spot);
      }
    };
    sigma.on("afterRender", write);
    sigma.setCustomBBox({ x: [0, width], y: [-height, 0] }); // with the margin that names and large nodes need
    sigma.refresh();
    const camera = sigma.getCamera();
    return {
      name: "webgl",
      on(enter, leave, click) {
        sigma.on("enterNode", ({ node }) => enter(Number(node)));
        sigma.on("leaveNode", leave);
        sigma.on("clickNode", ({ node }) => click(Number(node)));
        sigma.on("clickStage", () => click(-1));
      },
      refresh: () => sigma.refresh({ skipIndexation: true }),
      where,
      zoom(step) {
        if (step === 0) camera.animatedReset({ duration: 150 });
        else if (step > 0) camera.animatedZoom({ duration: 150, factor: 1.5 });
        else camera.animatedUnzoom({ duration: 150, factor: 1.5 });
      },
      reveal(at) { // brings a node into view, no more than is needed
        const { x, y } = where(at), wide = stage.clientWidth, high = stage.clientHeight;
        if (x > 30 && y > 30 && x < wide - 30 && y < high - 30) return;
        const shown = sigma.getNodeDisplayData(String(at));
        camera.animate({ x: shown.x, y: shown.y }, { duration: 150 });
      },
    };
  };

  const bySvg = (stage, data, look, state) => {
    const still = stage.querySelector("svg");
    const nodes = [...still.querySelectorAll("[data-n]")], edges = [...still.querySelectorAll("[data-e]")];
    const texts = [...still.querySelectorAll("[data-l]")];
    const show = (element, hidden) => (hidden ? element.setAttribute("display", "none") : element.removeAttribute("display"));
    const refresh = () => {
      for (const element of nodes) {
        const found = state.node(Number(element.dataset.n));
        show(element, found.hidden);
        const hole = element.nextElementSibling;
        if (hole && hole.classList.contains("g-hole")) show(hole, found.hidden);
        element.classList.toggle("faded", found.faded);
        element.classList.toggle("lit", Boolean(found.lit));
      }
      for (const element of edges) {
        const found = state.edge(Number(element.dataset.e));
        show(element, found.hidden);
        element.classList.toggle("faded", found.faded);
      }
      for (const element of texts) {
        const found = state.node(Number(element.dataset.l));
        show(element, found.hidden || found.faded);
      }
    };
    return {
      name: "svg",
      on(enter, leave, click) {
        const of = (event) => Number(event.target.closest("[data-n]")?.dataset.n ?? -1);
        still.addEventListener("pointerover", (event) => (of(event) < 0 ? leave() : enter(of(event))));
        still.addEventListener("pointerleave", leave);
        still.addEventListener("click", (event) => click(of(event)));
      },
      refresh,
      where(at) {
        const node = data.nodes[at], matrix = still.getScreenCTM(), box = stage.getBoundingClientRect();
        return { x: matrix.a * node.x + matrix.e - box.left, y: matrix.d * node.y + matrix.f - box.top, r: matrix.a * node.r };
      },
      zoom: () => {},
      reveal: () => {},
    };
  };

  // Why there is no WebGL; empty where there is.
  const missing = () => {
    if (typeof sigmaBundle === "undefined") return "this browser has no WebGL";
    const test = document.createElement("canvas");
    const got = test.getContext("webgl2") || test.getContext("webgl");
    if (!got) return "WebGL is switched off or not to be had here";
    got.getExtension("WEBGL_lose_context")?.loseContext();
    return "";
  };

  return { byWebGL, bySvg, missing };
})();
