/* a header; with a semicolon */ -- and; another
SELECT 1 /* inner; /* nested; */ still inside; */ + 2; -- behind; it
SELECT 1 --;
  , 2;
SELECT 1+--; a comment ends an operator
  2, 3*/* so; does this */4, 5 - -6, 7 /**/ / 8 /***/, 9;
/* only; a comment */ ; ; /**/ ;
-- 'an apostrophe's comment; "and more
SELECT '--;', '/*;', "--;" , "/*;" FROM t; /* it's; */
SELECT 4 @-- ;
 5;
SELECT 1 /*/ ; /*/ ; */ ; */ , 2;
SELECT 1 -- ends without a semicolon
-- and a comment; behind it
