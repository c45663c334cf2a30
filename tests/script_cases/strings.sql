-- Semicolons that end nothing, and quotes that open or close nothing.
SELECT 'a;b', 'it''s; fine', '', ''';''' , 'ends with backslash\';
SELECT E'it\'s;', e'\\', E'\';\'', E'a'';''b', E'line\
break;';
SELECT E'one\';'
  -- a comment may part a continued string
  'still \'escaped\';', 2;
SELECT 'one\'
  'plain again\', 3;
SELECT U&'d\0061t;a', U&'d!0061t;a' UESCAPE '!', N'national;', B'0101', X'1F;F';
SELECT namee'x\', 1 FROM (SELECT 1 AS "namee") t
;
SELECT "odd;name", "with ""quotes"";", U&"d\0061t;a" FROM "t;able";
SELECT 'multi
line;
string'  AS "multi
line;name";
SELECT ';' ";" FROM t WHERE a = ';' AND b = E'\\';;;
SELECT 1;
