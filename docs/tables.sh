#!/bin/sh
# Writes every table of the documents anew, from docs/results: `make tables`. A test runs each line.
set -e
cd "$(dirname "$0")/.."
monarch-report docs/results/operator_ladder --short --csv docs/results/tables/ladder.csv --ladder relative_l2 --update docs/operators.md --marker ladder
monarch-report docs/results/control_width --short --csv docs/results/tables/control_width.csv --table relative_l2 --update docs/operators.md --marker control_width
monarch-report docs/results/operator_parts docs/results/operator_ladder/1e-4_control_* docs/results/operator_ladder/1e-4_protocol_* --short --csv docs/results/tables/operator_parts.csv --ladder relative_l2 --update docs/operators.md --marker operator_parts
monarch-report docs/results/operator_trials --short --csv docs/results/tables/operator_trials.csv --table relative_l2_valid,relative_l2_train --update docs/operators.md --marker operator_trials
monarch-report docs/results/operator_ladder docs/results/navier_stokes_small --short --csv docs/results/tables/navier_stokes_small.csv --ladder relative_l2 --update docs/pde.md --marker navier_stokes_small
monarch-report docs/results/navier_stokes_grids --short --csv docs/results/tables/navier_stokes_grids.csv --table relative_l2,relative_l2/64,relative_l2/256 --update docs/pde.md --marker navier_stokes_grids
monarch-report docs/results/burgers --short --csv docs/results/tables/burgers.csv --table relative_l2,relative_l2/256,relative_l2/8192 --update docs/pde.md --marker burgers
monarch-report docs/results/boundaries_burgers --short --csv docs/results/tables/boundaries_burgers.csv --table relative_l2,relative_l2/128,relative_l2/512,relative_l2/1024 --update docs/pde.md --marker boundaries_burgers
monarch-report docs/results/boundaries_darcy --short --csv docs/results/tables/boundaries_darcy.csv --table relative_l2,relative_l2/16,relative_l2/64 --update docs/pde.md --marker boundaries_darcy
monarch-report docs/results/wave_layered --short --csv docs/results/tables/wave_layered.csv --table relative_l2 --update docs/when.md --marker wave_layered
monarch-report docs/results/heat_layered --short --csv docs/results/tables/heat_layered.csv --table relative_l2 --update docs/when.md --marker heat_layered
monarch-report docs/results/waveguide --short --csv docs/results/tables/waveguide.csv --table relative_l2 --update docs/when.md --marker waveguide
monarch-report docs/results/navier_stokes_channel --short --csv docs/results/tables/navier_stokes_channel.csv --table relative_l2 --update docs/when.md --marker navier_stokes_channel
python -m benchmarks.frontier docs/results/equal_time
monarch-report docs/results/burgers_stretched --short --csv docs/results/tables/burgers_stretched.csv --table relative_l2 --update docs/when.md --marker burgers_stretched
monarch-report docs/results/mri_rates --short --csv docs/results/tables/mri_rates.csv --table loss_valid --update docs/mri.md --marker mri_rates
monarch-report docs/results/mri_acceleration --short --csv docs/results/tables/mri_acceleration_values.csv --table psnr,ssim,psnr/unseen_mask,ssim/unseen_mask --update docs/mri.md --marker mri_acceleration_values
monarch-report docs/results/mri_few_shot_rates --short --csv docs/results/tables/mri_few_shot_rates.csv --table loss_valid --update docs/mri.md --marker mri_few_shot_rates
monarch-report docs/results/mri_few_shot --short --csv docs/results/tables/mri_few_shot_values.csv --table psnr,ssim --update docs/mri.md --marker mri_few_shot_values
monarch-report docs/results/mri_unrolled --short --csv docs/results/tables/mri_unrolled_values.csv --table psnr,ssim --update docs/mri.md --marker mri_unrolled_values
monarch-report docs/results/precision --short --csv docs/results/tables/precision.csv --table relative_l2,relative_l2_valid,relative_l2_train --update docs/speed.md --marker precision
python mri/compare.py docs/results/mri_blocks --only "sense by l2_ssim, monarch_2x64" --update README.md --marker mri_blocks
python mri/compare.py docs/results/mri_acceleration --update docs/mri.md --marker mri_acceleration
python mri/compare.py docs/results/mri_acceleration --only "sense, monarch" --by-contrast --update docs/mri.md --marker mri_contrasts
python mri/compare.py docs/results/mri_large_blocks --update docs/mri.md --marker mri_large_blocks
python mri/compare.py docs/results/mri_blocks --update docs/mri.md --marker mri_blocks
python mri/compare.py docs/results/mri_few_shot --control "unet, fft" --update docs/mri.md --marker mri_few_shot
python mri/compare.py docs/results/mri_unrolled --control "unrolled, fft" --update docs/mri.md --marker mri_unrolled
python -m benchmarks.encodings --update docs/mri.md --marker encodings
python mri/compare.py docs/results/mri_calibrated --control "cg_sense, fft" --update docs/mri.md --marker mri_calibrated
python mri/compare.py docs/results/mri_calibrated --control "cg_sense, fft" --only "cg_sense, monarch_rank4" --update README.md --marker mri_calibrated
python mri/compare.py docs/results/mri_encoding --control "unrolled, fft" --update docs/mri.md --marker mri_encoding
monarch-report docs/results/mri_encoding/fft_* docs/results/mri_encoding/monarch_* docs/results/mri_encoding/scanner_* --short --csv docs/results/tables/mri_encoding_values.csv --table nrmse,psnr,ssim --update docs/mri.md --marker mri_encoding_values
python mri/compare.py docs/results/mri_measured --update docs/mri.md --marker mri_measured
monarch-report docs/results/sparse_text --short --csv docs/results/tables/sparse_text.csv --table loss,loss_valid --update docs/sparse.md --marker sparse_text
monarch-report docs/results/sparse_switch --short --csv docs/results/tables/sparse_switch.csv --table loss,loss_valid --update docs/sparse.md --marker sparse_switch
monarch-report docs/results/sparse_images --short --csv docs/results/tables/sparse_images.csv --table accuracy,loss_valid --update docs/sparse.md --marker sparse_images
python -m benchmarks.sparse_sizes --update docs/sparse.md --marker sparse_sizes
python -m benchmarks.prediction docs/results
python -m benchmarks.report docs/results/speed
python -m benchmarks.headline docs/results
python -m benchmarks.csv_table docs/results/rates.csv --columns "data set;transform;best;its rate;error;against the best" --update docs/operators.md --marker rates
python -m benchmarks.csv_table docs/results/rate_rules.csv --columns "rule;wave_layered, monarch;heat_layered;burgers_dirichlet;burgers;navier_stokes" --update docs/operators.md --marker rate_rules
python -m benchmarks.csv_table docs/results/operator_proxy.csv --columns "viscosity;design;transform;optimiser;besides;train;validation" --update docs/operators.md --marker operator_proxy
python -m benchmarks.csv_table docs/results/operator_designs.csv --columns "design;transform;width;layers;batch;rate;besides;validation" --update docs/operators.md --marker operator_designs
python -m benchmarks.csv_table docs/results/linear_rates.csv --columns "width;blocks;way;0.0002;0.0008;0.0016;0.0032;0.0064" --update docs/sparse.md --marker linear_rates
