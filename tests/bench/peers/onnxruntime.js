// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 The Ocellus Authors
//
// Times ONNX Runtime (npm onnxruntime-node, one thread) on the graphs of graphs.js. The input is handed over already
// quantised. The net "identity" hands its ten inputs back: what it takes is the cost of a call from JavaScript, which the
// other figures contain. Prints one JSON line a net. Usage: node onnxruntime.js [runs]
'use strict';
const ort = require('onnxruntime-node');
const { nets, graph, identity } = require('./graphs.js');

async function time(name, { output, dims, model }, runs) {
    const session = await ort.InferenceSession.create(model,
        { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all' });
    const data = new Uint8Array(dims.reduce((a, b) => a * b)).map(() => Math.floor(Math.random() * 128));
    const feed = { x: new ort.Tensor('uint8', data, dims) };
    const us = [];

    for (let run = -200; run < runs; run++) {
        const start = process.hrtime.bigint();
        const result = await session.run(feed);
        const took = Number(process.hrtime.bigint() - start) / 1000;
        if (result[output].data.length !== 10) {
            throw new Error(`${name}: unexpected result`);
        }
        if (run >= 0) {
            us.push(took);
        }
    }
    us.sort((a, b) => a - b);
    console.log(JSON.stringify({ peer: 'onnxruntime', isa: 'all', net: name, batch: 1, runs,
        median_us: us[runs >> 1], p99_us: us[Math.floor(runs * 0.99)], min_us: us[0] }));
}

(async () => {
    const runs = Number(process.argv[2] || 1000);
    if (!(runs >= 10)) {
        console.error('usage: node onnxruntime.js [runs >= 10]');
        process.exit(2);
    }
    await time('identity', identity(), runs);
    for (const name of nets) {
        await time(name, graph(name), runs);
    }
})();
