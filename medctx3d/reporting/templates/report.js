'use strict';

(() => {
  const table = document.getElementById('case-table');
  if (!table) return;
  const cases = new Map(JSON.parse(document.getElementById('case-data').textContent).map((entry) => [entry.case, entry]));
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const chosen = document.getElementById('case-class');

  const value = (row, head) => {
    const entry = cases.get(row.dataset.case);
    if (!head.dataset.metric) return entry.case;
    const scores = chosen.value ? entry.classes[chosen.value] : entry.mean;
    const found = scores && scores[head.dataset.metric];
    return typeof found === 'number' ? found : null;
  };

  const sort = (head) => {
    const up = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
    heads.forEach((other) => other.setAttribute('aria-sort', 'none'));
    head.setAttribute('aria-sort', up === 1 ? 'ascending' : 'descending');
    arrange();
  };

  const arrange = () => {
    const head = heads.find((other) => other.getAttribute('aria-sort') !== 'none');
    if (!head) return;
    const up = head.getAttribute('aria-sort') === 'ascending' ? 1 : -1;
    const rows = [...body.rows].map((row) => [row, value(row, head)]);
    rows.sort(([, a], [, b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // what is not scored stays last
      return up * (typeof a === 'string' ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
    });
    body.append(...rows.map(([row]) => row));
  };

  const fill = () => {
    for (const row of body.rows) {
      heads.forEach((head, column) => {
        if (!head.dataset.metric) return;
        const found = value(row, head);
        row.cells[column].textContent = found === null ? '–' : found.toFixed(Number(head.dataset.decimals));
      });
    }
    arrange();
  };

  heads.forEach((head) => head.firstElementChild.addEventListener('click', () => sort(head)));
  chosen.addEventListener('change', fill);
})();

(async () => {
  const source = document.getElementById('viewer-data');
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const canvas = document.getElementById('viewer-canvas');
  const told = document.getElementById('viewer-told');
  const opacity = document.getElementById('viewer-opacity');
  const plane = document.getElementById('viewer-plane');
  const sliders = [0, 1, 2].map((axis) => document.getElementById(`slice-${axis}`));
  const on = { truth: false, prediction: true, difference: false };
  const layers = ['truth', 'prediction', 'difference'];
  const planes = ['sagittal', 'coronal', 'axial']; // by the axis that they are perpendicular to
  let shown = []; // names of the volumes that are loaded, in their order

  if (!canvas.getContext('webgl2')) {
    told.textContent = 'The viewer needs WebGL 2, which this browser does not offer. The pictures above do without.';
    return;
  }

  const colours = (entries) => {
    const map = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: ['background'] };
    for (const { id, name, color } of entries) {
      const rgb = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
      ['R', 'G', 'B'].forEach((key, i) => map[key].push(rgb[i]));
      map.A.push(255);
      map.I.push(id);
      map.labels.push(name.replaceAll('_', ' '));
    }
    return map;
  };
  const organs = colours(data.classes);
  const errors = colours(data.differences.map((entry, i) => ({ id: i + 1, ...entry })));

  const nv = new niivue.Niivue({
    backColor: [0, 0, 0, 1],
    crosshairColor: [1, 1, 1, 0.6],
    crosshairWidth: 0.4,
    crosshairWidthUnit: 'percent',
    dragAndDropEnabled: false,
    fontColor: [1, 1, 1, 1],
    isNearestInterpolation: true,
    isRadiologicalConvention: true,
    loadingText: '',
    logLevel: 'error',
    multiplanarShowRender: 0,
    sagittalNoseLeft: true,
    scrollRequiresFocus: true,
    showAllOrientationMarkers: true,
  });
  await nv.attachToCanvas(canvas);

  const show = () => {
    shown.forEach((name, i) => {
      if (name !== 'image') nv.setOpacity(i, on[name] ? opacity.value / 100 : 0);
    });
  };

  nv.onLocationChange = ({ vox, values }) => {
    sliders.forEach((slider, axis) => (slider.value = vox[axis]));
    const at = (name) => {
      const found = values[shown.indexOf(name)];
      return found && (name === 'difference' ? errors : organs).labels[Math.round(found.value)];
    };
    const where = [2, 1, 0].map((axis) => `${planes[axis]} ${vox[axis] + 1} of ${Number(sliders[axis].max) + 1}`);
    const what = ['truth', 'prediction'].filter((name) => shown.includes(name)).map((name) => `${name}: ${at(name)}`);
    told.textContent = [...where, ...what].join(', ');
  };

  const go = (wanted) => {
    const now = nv.frac2vox(nv.scene.crosshairPos);
    nv.moveCrosshairInVox(...wanted.map((index, axis) => index - now[axis]));
  };

  const load = async (entry) => {
    while (nv.volumes.length) nv.removeVolume(nv.volumes[0]);
    shown = ['image', ...layers.filter((name) => name in entry.volumes)];
    for (const name of shown) {
      const image = await niivue.NVImage.loadFromBase64({
        base64: entry.volumes[name],
        name: `${name}.nii.gz`,
        colormap: 'gray',
        cal_min: 0,
        cal_max: 255,
      });
      if (name !== 'image') image.setColormapLabel(name === 'difference' ? errors : organs);
      nv.addVolume(image);
    }
    const size = nv.volumes[0].dimsRAS.slice(1, 4);
    sliders.forEach((slider, axis) => (slider.max = size[axis] - 1));
    layers.forEach((name) => (boxes[name].disabled = !shown.includes(name)));
    show();
    go(entry.start.map((part, axis) => Math.floor(part * size[axis])));
  };

  const boxes = {};
  for (const name of layers) {
    const label = document.createElement('label');
    boxes[name] = Object.assign(document.createElement('input'), { type: 'checkbox', checked: on[name] });
    boxes[name].id = `layer-${name}`;
    boxes[name].addEventListener('change', () => {
      on[name] = boxes[name].checked;
      show();
    });
    label.append(boxes[name], ` ${name}`);
    document.getElementById('viewer-layers').append(label);
  }

  opacity.addEventListener('input', show);
  plane.addEventListener('change', () => nv.setSliceType(Number(plane.value)));
  sliders.forEach((slider, axis) =>
    slider.addEventListener('input', () => {
      go([...nv.frac2vox(nv.scene.crosshairPos)].map((index, other) => (other === axis ? Number(slider.value) : index)));
    }),
  );
  const picked = document.getElementById('viewer-case');
  picked.addEventListener('change', () => load(data.cases[Number(picked.value)]));
  if (window.matchMedia('(max-width: 560px)').matches) plane.value = '0'; // three planes would be too small
  nv.setSliceType(Number(plane.value));
  await load(data.cases[0]);
  canvas.dataset.ready = 'yes';
})();
