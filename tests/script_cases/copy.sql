CREATE TABLE t (a int, b text);
COPY t (a, b) FROM stdin;
1	a;b
2	it's "quoted" $$ /* -- (
\N	\\N \.x
3	BEGIN ATOMIC
\.
SELECT 1;
COPY public.t FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';'); -- rows follow
a;b
1;"x;y"
\.

COPY "t" FROM stdin WHERE a IN (1, 2);
\.
COPY (SELECT a FROM t WHERE b = 'FROM stdin;') TO STDOUT;
COPY t FROM '/tmp/stdin;';
SELECT 2;
