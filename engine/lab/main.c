/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab: the offline half of Ocellus. This file lists the commands and picks one; the work is
 * in a file per command.
 */
#include <stdio.h>
#include <string.h>

#include "engine/lab/lab.h"
#include "engine/lab/options.h"

#define BIT(name) LAB_OPTION_BIT(LAB_OPTION_##name)

static const struct lab_command commands[] = {
    {
        .name = "adapt",
        .operands = "MODEL",
        .operand_count = 1,
        .options = BIT(CPU_MASK) | BIT(DATA) | BIT(DISK) | BIT(OUT) | BIT(SEEDS) | BIT(TEST),
        .required = BIT(TEST),
        .summary = "measure what a model learns from 20 labels in scenes where it errs",
        .about =
            "Five scenes are made of the test windows, each as strong as the balanced accuracy\n"
            "falls to 82 %. The daemon's trainer learns from 5, 10 and 20 labels, in one record;\n"
            "beside it prototypes alone, biases alone, and steps label by label with the model's\n"
            "file written each time. Prints balanced accuracy on other photographs, accuracy on\n"
            "the windows as they are, the scene at 1/16 and 4 times the light, and bytes; --out\n"
            "takes the report. --seeds (3) draw other labels. --data: windows held out of the\n"
            "training, on which other settings are tried before; some minutes. --disk: count\n"
            "what a disk receives that nothing else writes to (tests/bench/adapt.py makes one).",
        .run = lab_adapt,
    },
    {
        .name = "bench",
        .operands = "[MODEL...]",
        .operands_open = true,
        .options = BIT(BATCH) | BIT(CPU_MASK) | BIT(JSON) | BIT(RUNS),
        .summary = "time networks on this machine",
        .about =
            "MODEL is a file or the name of a generated network: small-32-64-64, lg3-32-64-128,\n"
            "net-b or bineareye-256. Without any, the installed models and all of these are\n"
            "timed. Without --cpu-mask each is timed as portable C, with AVX2 and with all.\n"
            "Pin it to one core for steady figures: taskset -c 1 ocellus-lab bench",
        .run = lab_bench,
    },
    {
        .name = "calibrate",
        .operands = "MODEL DIR",
        .operand_count = 2,
        .options = BIT(CPU_MASK) | BIT(FALSE_POSITIVES) | BIT(JSON) | BIT(OUTPUT) | BIT(POSITIVE) |
                   BIT(RECALL),
        .summary = "measure what a model's confidence is worth",
        .about = "Measures the calibration error, the temperature that makes it least, and of two\n"
                 "labels the thresholds for wished rates, on pictures that the model was not\n"
                 "trained with. --output writes a copy of a packed model with that temperature.",
        .run = lab_calibrate,
    },
    {
        .name = "capture",
        .operands = "PICTURE",
        .operand_count = 1,
        .options =
            BIT(BITS) | BIT(CFA) | BIT(EXPOSURE) | BIT(NOISE) | BIT(OUTPUT) | BIT(SEED) | BIT(SIZE),
        .required = BIT(OUTPUT),
        .summary = "photograph a picture with a simulated sensor, as a DNG",
        .about =
            "Turns a JPEG or a PNM into the DNG that a Bayer sensor would have delivered. White "
            "of\n"
            "the picture lands at 1/8 of full scale, so that exposure 8 just reaches clipping.\n"
            "Pictures over 4096 samples a side are scaled down to fit.",
        .run = lab_capture,
    },
    {
        .name = "compose",
        .operands = "OBJECTS BACKGROUNDS...",
        .operands_open = true,
        .options = BIT(BITS) | BIT(DECOYS) | BIT(EXPOSURE) | BIT(IMAGES) | BIT(NOISE) |
                   BIT(OBJECTS) | BIT(OUT) | BIT(SEED) | BIT(SIZE),
        .required = BIT(OUT),
        .summary = "paste objects on backgrounds: frames whose truth is known",
        .about = "OBJECTS and each of BACKGROUNDS are folders of pictures. Writes --images (200)\n"
                 "frames of --size (640x480) and truth.csv, the boxes of the objects. Frames are\n"
                 "JPEGs of quality 95; with --exposure, --noise or --bits (here 16) the DNGs of a\n"
                 "simulated sensor, as capture makes them. The same seed gives the same scenes.",
        .run = lab_compose,
    },
    {
        .name = "exits",
        .operands = "MODEL DIR",
        .operand_count = 2,
        .options = BIT(CPU_MASK) | BIT(LOSS) | BIT(OUTPUT),
        .summary = "take a cheap operating point's answer where it is sure",
        .about =
            "Point = exit starts a frame at the model's last operating point, the cheapest, and\n"
            "goes on to dearer ones while the best score is too little above the next. With\n"
            "--output chooses these margins over the folder-per-class tree DIR, such that at most\n"
            "--loss points of the first point's accuracy are lost, and writes a copy with them;\n"
            "without it measures those of the model.",
        .run = lab_exits,
    },
    {
        .name = "export",
        .operands = "FLOAT_MODEL|RUN",
        .operand_count = 1,
        .options = BIT(CALIBRATE) | BIT(CPU_MASK) | BIT(IMAGES) | BIT(OUTPUT),
        .required = BIT(CALIBRATE) | BIT(OUTPUT),
        .summary = "pack a trained or a float model",
        .about =
            "Of the directory of a training that has ended, the integers that it learned with\n"
            "are packed as they are; the model is refused where its scores are not the trainer's\n"
            "own on the pictures. Of a file, float weights are fitted to 8-bit weights and 7-bit\n"
            "activations on the pictures. The same input gives the same file.",
        .run = lab_export,
    },
    {
        .name = "eval",
        .operands = "MODEL DIR",
        .operand_count = 2,
        .options = BIT(BITS) | BIT(BRIGHTNESS) | BIT(COMPARE) | BIT(CPU_MASK) | BIT(JSON) |
                   BIT(LIMIT) | BIT(NOISE) | BIT(POSITIVE) | BIT(SEED),
        .summary = "measure a model over a folder-per-class tree",
        .about =
            "DIR holds one folder per class, named like the model's labels. --brightness repeats\n"
            "the measurement with a simulated sensor at exposures 1/32 to 8, nominal white at\n"
            "1/8 of full scale; --bits or --noise alone simulate the sensor at exposure 1.",
        .run = lab_eval,
    },
    {
        .name = "join",
        .operands = "NAME=MODEL...",
        .operands_open = true,
        .options = BIT(OUTPUT),
        .required = BIT(OUTPUT),
        .summary = "make packed models the operating points of one file",
        .about =
            "The models have the same labels and want the same planes; the first is the default\n"
            "point. A request, a camera or point = auto chooses among them.",
        .run = lab_join,
    },
    {
        .name = "mine",
        .operands = "MODEL FRAMES",
        .operand_count = 2,
        .options = BIT(CPU_MASK) | BIT(LIMIT) | BIT(OBJECT_MIN) | BIT(OUT) | BIT(POSITIVE) |
                   BIT(THRESHOLD),
        .required = BIT(OUT),
        .summary = "scan frames for windows that a model should learn from",
        .about = "Writes to --out, in a folder named background, the windows of FRAMES that the\n"
                 "model takes for its object though none is there: at most --limit (8) a frame,\n"
                 "the surest first, none over half of another. Of frames with a truth.csv also\n"
                 "windows that fit an object, to a folder with the object's label. Files are the\n"
                 "exact planes of the scan, named by a digest of their content.",
        .run = lab_mine,
    },
    {
        .name = "prune",
        .operands = "RUN",
        .operand_count = 1,
        .options = BIT(CPU_MASK) | BIT(DATA) | BIT(EPOCHS) | BIT(FILTERS) | BIT(OUT) | BIT(SEED) |
                   BIT(TEST) | BIT(THREADS),
        .required = BIT(DATA) | BIT(OUT),
        .summary = "take filters out of a trained network's first layer",
        .about = "RUN is the run directory of a training that has ended. Of the two first-layer "
                 "filters\n"
                 "that are most alike, by |cosine|, the one with the smaller sum of |weights| "
                 "goes; the\n"
                 "rest learns on for --epochs (default 1); and again, down to --filters.",
        .run = lab_prune,
    },
    {
        .name = "reproduce",
        .operands = "batchnorm|bineareye|log-gradient|lognet|low-rank",
        .operand_count = 1,
        .options = BIT(CPU_MASK) | BIT(DATA) | BIT(EPOCHS) | BIT(FULL) | BIT(IMAGES) | BIT(LIMIT) |
                   BIT(OUT) | BIT(QUICK) | BIT(SEEDS) | BIT(TEST) | BIT(THREADS),
        .required = BIT(DATA),
        .summary = "repeat a paper's experiment and report what holds",
        .about =
            "log-gradient: one network on sRGB and on log-gradient input under changing light.\n"
            "Prints the plan with its hours first, writes report.md, CSV and SVG files after "
            "every\n"
            "training, and goes on where it was broken off. The whole takes all pictures, 12\n"
            "epochs and 3 seeds; --images, --epochs, --seeds and --limit (of test pictures) make\n"
            "it smaller, and the report says so.\n"
            "lognet: weights, activations and gradients in log and linear codes, after training\n"
            "and in training; it keeps to plan, sizes and files as above. The whole takes 4 "
            "epochs.\n"
            "bineareye: binary networks of several widths and depths on two inputs under changing\n"
            "light; plan, sizes and files as above.\n"
            "low-rank: five ways to learn on the device, from still and drifting streams of\n"
            "MNIST digits (--data: the folder with its files), with writes to weights counted.\n"
            "Goes on where it was broken off; several processes may work in one folder.\n"
            "batchnorm: what batch norm does to learning by raising small eigenvalues and by\n"
            "lowering large ones, each alone and both, on MNIST (--data: as above). Some\n"
            "minutes of one core; goes on where it was broken off.",
        .run = lab_reproduce,
    },
    {
        .name = "scan",
        .operands = "MODEL FRAMES",
        .operand_count = 2,
        .options = BIT(BITS) | BIT(COMPARE) | BIT(CPU_MASK) | BIT(EXPOSURE) | BIT(JSON) |
                   BIT(LIMIT) | BIT(NOISE) | BIT(OBJECT_MIN) | BIT(OUT) | BIT(OUTPUT) |
                   BIT(POSITIVE) | BIT(SEED) | BIT(THRESHOLD),
        .summary = "find objects in frames, and measure it where they are known",
        .about = "Of frames with a truth.csv, as compose writes it: the share of objects found at\n"
                 "1, 0.3 and 0.1 false boxes a frame with Wilson intervals, what a score is worth\n"
                 "as a probability, and frames a second. --exposure, --noise or --bits (here 16)\n"
                 "put a simulated sensor in between. --compare names boxes of another detector\n"
                 "on the same frames (frame,x,y,width,height,score). --out takes boxes, curves\n"
                 "and charts, --output a copy of the model that knows what its margins mean.",
        .run = lab_scan,
    },
    {
        .name = "search",
        .operands = "RECIPE...",
        .operands_open = true,
        .options = BIT(CPU_MASK) | BIT(DATA) | BIT(OUT) | BIT(RESUME) | BIT(SEED) | BIT(TEST) |
                   BIT(THREADS),
        .required = BIT(DATA) | BIT(OUT) | BIT(TEST),
        .summary = "search small networks within bounds, by evolution",
        .about = "RECIPE has no layers: the search makes them up, within the bounds of [search].\n"
                 "Several recipes are searched in turns and compared, such as two inputs. Writes\n"
                 "a table of all candidates, the front of size and error, report.md and\n"
                 "search.svg to the directory. Deterministic for the same recipes, pictures, seed\n"
                 "and instruction set, killed and resumed or not.",
        .run = lab_search,
    },
    {
        .name = "show",
        .operands = "MODEL",
        .operand_count = 1,
        .summary = "describe a model file",
        .about = "Prints what a model file holds: input, layers, shapes, sizes, work per frame, "
                 "id. With\n"
                 "--plan also how fast the kernels are here and which one each layer runs on.",
        .options = LAB_OPTION_BIT(LAB_OPTION_PLAN) | LAB_OPTION_BIT(LAB_OPTION_CPU_MASK),
        .run = lab_show,
    },
    {
        .name = "train",
        .operands = "RECIPE",
        .operand_count = 1,
        .options = BIT(CPU_MASK) | BIT(DATA) | BIT(OUT) | BIT(RESUME) | BIT(SEED) | BIT(TEST) |
                   BIT(THREADS) | BIT(WIDEN),
        .required = BIT(DATA),
        .summary = "train a float model by a recipe",
        .about = "Writes recipe.ini, metrics.csv, checkpoint.safetensors (after each epoch) and\n"
                 "the result, NAME-f32.safetensors, to the run directory. The result is\n"
                 "deterministic for the same recipe, pictures, seed and instruction set.",
        .run = lab_train,
    },
};

static const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static void print_usage(FILE *stream)
{
    fputs("Usage: ocellus-lab COMMAND [OPTION...] OPERAND...\n\nCommands:\n", stream);
    for (size_t i = 0; i < command_count; i++) {
        fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    fputs(
        "\n'ocellus-lab COMMAND --help' tells more; 'ocellus-lab --version' prints the version.\n",
        stream);
}

static int run_command(const struct lab_command *command, int argc, char **argv)
{
    struct lab_args args;
    if (lab_args_parse(command, argc, argv, &args) < 0) {
        return LAB_EXIT_USAGE;
    }
    if (lab_args_given(&args, LAB_OPTION_HELP)) {
        lab_command_help(command, stdout);
        return LAB_EXIT_OK;
    }
    int status = command->run(&args);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        lab_error("cannot write to standard output");
        return LAB_EXIT_FAILED;
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return LAB_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return LAB_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("ocellus-lab " OCELLUS_VERSION);
        return LAB_EXIT_OK;
    }
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return run_command(&commands[i], argc - 1, argv + 1);
        }
    }
    lab_error("'%s' is not a command; 'ocellus-lab --help' lists them", argv[1]);
    return LAB_EXIT_USAGE;
}
