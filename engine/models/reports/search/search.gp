# Drawn by: gnuplot search.gp, in this folder
set terminal svg size 800,500 noenhanced background 'white'
set output 'search.svg'
set datafile separator comma
set grid
set key below
set title 'Model size and error'
set xlabel 'bytes of the model'
set logscale x 10
set ylabel 'share wrong, held-out pictures'
set logscale y 10
plot 'search-log-gradient.csv' using (column('bytes')):(column('error')) with points pointtype 7 pointsize 0.5 title 'search-log-gradient', \
     'search-log-gradient-front.csv' using (column('bytes')):(column('error')) with linespoints pointtype 7 pointsize 0.5 title 'search-log-gradient, front', \
     'search-srgb.csv' using (column('bytes')):(column('error')) with points pointtype 7 pointsize 0.5 title 'search-srgb', \
     'search-srgb-front.csv' using (column('bytes')):(column('error')) with linespoints pointtype 7 pointsize 0.5 title 'search-srgb, front'
